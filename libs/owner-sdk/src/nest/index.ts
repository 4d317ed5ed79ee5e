/** The SDK in a Nest application: a decorator for the entity type, one for each of its functions. */
export { LoadEntities, PushHandler, StoreEntities, SyncEntity } from './decorators.ts';
export type { SyncEntityOptions } from './decorators.ts';
export { SyncOwner } from './sync-owner.ts';
export type { SyncOwnerOptions } from './sync-owner.ts';
export { SyncOwnerModule } from './sync-owner.module.ts';
