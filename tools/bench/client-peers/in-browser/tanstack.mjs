import {
  createBrowserWASQLitePersistence,
  openBrowserWASQLiteOPFSDatabase,
  persistedCollectionOptions,
} from '@tanstack/browser-db-sqlite-persistence';
import { createCollection } from '@tanstack/db';
import { IndexedDBAdapter, startOfflineExecutor } from '@tanstack/offline-transactions';
import { openTanstack } from '../tanstack.mjs';

const TANSTACK = {
  ...{ createBrowserWASQLitePersistence, persistedCollectionOptions, createCollection, startOfflineExecutor },
};

/** SQLite in OPFS for what was synced, IndexedDB for the outbox, each with its own settings. */
export const open = async () =>
  openTanstack(
    TANSTACK,
    await openBrowserWASQLiteOPFSDatabase({ databaseName: 'bench.sqlite' }),
    new IndexedDBAdapter(),
  );
