/** The device half of protocol v1: offline writes, live reads, honest status. */
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
