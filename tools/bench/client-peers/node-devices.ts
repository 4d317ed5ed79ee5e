/** Devices that run in Node, each with what it stores in a folder. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { openSqliteStore } from '@sync/client/sqlite';
import { NodeSqliteDriver } from '@sync/client/testing/node-sqlite-driver';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { openBareSqlite } from './bare-sqlite.ts';
import { PACKAGES } from './packages.ts';
import { openRxdb } from './rxdb.ts';
import { openSyncClient } from './sync-client.ts';
import { openTanstack } from './tanstack.mjs';
import type { OpenDevice } from './work.ts';

export const NODE_DEVICES: Readonly<Record<string, (folder: string) => Promise<OpenDevice>>> = {
  'bare-sqlite': (folder) => openBareSqlite(join(folder, 'bare.db')),
  'sync-sqlite': async (folder) => {
    const driver = new NodeSqliteDriver(join(folder, 'sync.db'));
    return openSyncClient(await openSqliteStore({ driver, close: () => driver.database.close() }));
  },
  // Its one free storage for Node that takes so many documents: the trial of SQLite takes 500.
  'rxdb-memory': () => openRxdb(getRxStorageMemory()),
  'tanstack-sqlite': (folder) => {
    const load = createRequire(join(PACKAGES, 'package.json'));
    const database = new NodeSqliteDatabase(join(folder, 'tanstack.db'));
    return openTanstack(
      {
        ...(load('@tanstack/db') as object),
        ...(load('@tanstack/browser-db-sqlite-persistence') as object),
        ...(load('@tanstack/offline-transactions') as object),
      },
      database,
      database,
    );
  },
};

/**
 * What TanStack's persistence asks of a database, and its outbox of a storage, over `node:sqlite`, flushed at
 * each commit as ours is. Its own package for Node builds `better-sqlite3`, and its outbox has storages for
 * browsers only.
 */
class NodeSqliteDatabase {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    this.#database.exec(
      'CREATE TABLE IF NOT EXISTS outbox (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)',
    );
  }

  async execute(sql: string, params: readonly unknown[] = []): Promise<readonly unknown[]> {
    return this.#database.prepare(sql).all(...(params as SQLInputValue[]));
  }

  async get(key: string): Promise<string | null> {
    const [row] = await this.execute('SELECT value FROM outbox WHERE key = ?', [key]);
    return (row as { value: string } | undefined)?.value ?? null;
  }

  async set(key: string, value: string): Promise<void> {
    await this.execute('INSERT OR REPLACE INTO outbox (key, value) VALUES (?, ?)', [key, value]);
  }

  async delete(key: string): Promise<void> {
    await this.execute('DELETE FROM outbox WHERE key = ?', [key]);
  }

  async keys(): Promise<string[]> {
    const rows = await this.execute('SELECT key FROM outbox');
    return rows.map((row) => (row as { key: string }).key);
  }

  async clear(): Promise<void> {
    await this.execute('DELETE FROM outbox');
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}
