/** The device half of protocol v1: offline writes, live reads, honest status. */
export { type Clock, systemClock } from './clock/clock.ts';
export { createHttpTransport, type HttpTransport, type HttpTransportOptions } from './net/http-transport.ts';
export { LiveSocket, type LiveSocketOptions, type LiveState, type SocketLike } from './net/live-socket.ts';
export type { GetToken, TokenReason } from './net/tokens.ts';
export { importDeviceKey, type StoredDeviceKey, webCryptoKey } from './net/webcrypto-key.ts';
export { EncryptedStore } from './storage/encrypted-store.ts';
export type { StorageKey } from './storage/encrypted-store.ts';
export { MemoryDisk, MemoryStore } from './storage/memory-store.ts';
export { StorageError, keyOf } from './storage/store.ts';
export type { Commit, Store, StorageErrorCode, StoredRow, StoredValue, TableName } from './storage/store.ts';
export type {
  Answer,
  Call,
  DeviceIdentity,
  DeviceKey,
  Failure,
  FailureKind,
  Transport,
} from './net/transport.ts';
