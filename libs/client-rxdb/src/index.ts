/** `@sync/client-rxdb`: RxDB's replication over the sync protocol. */
export { createRxSync, type RxHandlers, type RxSync } from './create-rx-sync.ts';
export { type DeviceCount, type RxSyncOptions, deviceSchema } from './connection.ts';
export { type Replicated, type SyncState, syncStateSchema } from './documents.ts';
export type { Checkpoint } from './pull-documents.ts';
