import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';
import { openRxdb } from '../rxdb.ts';

/** Its free storage for browsers, told to flush at each commit, as ours does. */
export const open = () => openRxdb(getRxStorageDexie({ chromeTransactionDurability: 'strict' }));
