import { openIndexedDbStore } from '@sync/client/indexeddb';
import { openSyncClient } from '../sync-client.ts';

export const open = async () => openSyncClient(await openIndexedDbStore({ name: 'bench' }));
