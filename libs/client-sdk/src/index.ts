/** The device half of protocol v1: offline writes, live reads, honest status. */
export { type Clock, systemClock } from './clock/clock.ts';
export { createHttpTransport, type HttpTransport, type HttpTransportOptions } from './net/http-transport.ts';
export type { SocketLike } from './net/live-socket.ts';
export type { GetToken, TokenReason } from './net/tokens.ts';
export { StorageError, keyOf } from './storage/store.ts';
export type { Commit, Store, StorageErrorCode, StoredRow, StoredValue, TableName } from './storage/store.ts';
export type {
  Answer,
  Call,
  DeviceIdentity,
  DeviceKey,
  Failure,
  FailureKind,
  LiveLine,
  LiveListener,
  LiveState,
  Transport,
} from './net/transport.ts';
export { createSyncClient } from './client/create-sync-client.ts';
export type { Conflict, EntityTypes, SyncClient, SyncClientOptions } from './client/create-sync-client.ts';
export type { EntitySet, WriteOptions } from './client/entity-set.ts';
export type { DataUpcaster, VersionedType } from './schema/app-versions.ts';
export type { DataSchema, EntityType } from './client/entity-type.ts';
export type { ScopeStatus, SyncStatus } from './client/status.ts';
export { type Seat, type TabEvents, type Tabs, alone } from './tabs/tabs.ts';
export { SyncError, type SyncErrorCode } from './sync-error.ts';
export type { Tier, Write, WriteState } from './client/write.ts';
export type { Entity } from './local/mirror.ts';
export type { OutcomeRow } from './local/store-outcomes.ts';
export type { EntityData } from './outbox/show-entity.ts';
