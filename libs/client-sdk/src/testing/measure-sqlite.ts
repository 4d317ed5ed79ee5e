import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteStore } from '../storage/sqlite/sqlite-store.ts';
import type { StoredRow } from '../storage/store.ts';
import { benchBatches } from './bench-rows.ts';
import type { BenchTimes } from './page-functions.ts';
import { NodeSqliteDriver } from './sqlite/node-sqlite-driver.ts';

/** The same rows in the same batches by bare `node:sqlite` and by the store, both flushed at each commit. */
export async function measureSqlite(
  count: number,
  batch: number,
): Promise<{ floor: BenchTimes; store: BenchTimes }> {
  const batches = benchBatches(count, batch);
  const folder = await mkdtemp(join(tmpdir(), 'sync-bench-sqlite-'));
  try {
    const floor = await measureFloor(join(folder, 'floor.db'), batches);
    return { floor, store: await measureStore(join(folder, 'store.db'), batches) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureFloor(file: string, batches: readonly StoredRow[][]): Promise<BenchTimes> {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec('CREATE TABLE row (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)');
  const insert = database.prepare('INSERT INTO row (key, value) VALUES (?, ?)');
  const writtenMs = await timeOf(async () => {
    for (const rows of batches) {
      database.exec('BEGIN');
      for (const { key, value } of rows) insert.run(key, JSON.stringify(value));
      database.exec('COMMIT');
    }
  });
  const listedMs = await timeOf(async () => {
    const rows = database.prepare('SELECT key, value FROM row ORDER BY key').all();
    rows.map(({ key, value }) => ({ key, value: JSON.parse(value as string) as unknown }));
  });
  database.close();
  return { writtenMs, listedMs };
}

async function measureStore(file: string, batches: readonly StoredRow[][]): Promise<BenchTimes> {
  const driver = new NodeSqliteDriver(file);
  const store = await openSqliteStore({ driver, close: () => driver.database.close() });
  let n = 0;
  const writtenMs = await timeOf(async () => {
    for (const rows of batches) {
      const puts = rows.map((row) => ({ table: 'entity' as const, ...row }));
      await store.commit({ puts, expect: { n }, counters: { n: (n += 1) } });
    }
  });
  const listedMs = await timeOf(async () => {
    await store.list('entity', '');
  });
  await store.close();
  return { writtenMs, listedMs };
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
