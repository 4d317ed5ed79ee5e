/** TanStack DB collections on `@sync/client`: live queries and joins over what the device shows. */
export { syncCollectionOptions } from './sync-collection-options.ts';
export type { Keyed, SyncCollectionOptions, SyncCollectionUtils } from './sync-collection-options.ts';
export { storeTransaction } from './store-mutations.ts';
