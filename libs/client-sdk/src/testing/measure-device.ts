import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { importDeviceKey, webCryptoKey } from '../net/webcrypto-key.ts';
import { openSqliteStore } from '../storage/sqlite/sqlite-store.ts';
import type { Store } from '../storage/store.ts';
import { type DeviceTimes, IDENTITY, measureDeviceWork, timeOf } from './device-work.ts';
import { type QueueTimes, measureQueue } from './measure-queue.ts';
import { measureSqlite } from './measure-sqlite.ts';
import { NodeSqliteDriver } from './sqlite/node-sqlite-driver.ts';

const PAGE = 1_000;

export interface SqliteDeviceTimes extends DeviceTimes, QueueTimes {
  /** As many rows written by bare `node:sqlite`, in batches of 1,000. */
  readonly floorMs: number;
  /** Growth of the heap for each 10,000 entities that are held, and whose data was read. */
  readonly heapBytesPer10k: number;
}

/** A device on SQLite with so many entities, and another one with so many mutations that wait. */
export async function measureDevice(entities: number, mutations: number): Promise<SqliteDeviceTimes> {
  const { floor } = await measureSqlite(entities, PAGE);
  const folder = await mkdtemp(join(tmpdir(), 'sync-bench-device-'));
  try {
    const key = await webCryptoKey(await importDeviceKey(new Uint8Array(32)), IDENTITY);
    let heapBefore = 0;
    let heapAfter = 0;
    const watch = {
      beforeStart: () => (heapBefore = heapBytes()),
      afterStart: () => (heapAfter = heapBytes()),
    };
    const file = join(folder, 'device.db');
    const place = { open: () => openIn(file), readBare: () => timeOf(() => readPages(file)) };
    const times = await measureDeviceWork(entities, place, key, watch);
    const queue = await measureQueue(mutations, await openIn(join(folder, 'queue.db')), key);
    const heapBytesPer10k = ((heapAfter - heapBefore) / entities) * 10_000;
    return { ...times, ...queue, floorMs: floor.writtenMs, heapBytesPer10k };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function openIn(file: string): Promise<Store> {
  const driver = new NodeSqliteDriver(file);
  return openSqliteStore({ driver, close: () => driver.database.close() });
}

async function readPages(file: string): Promise<void> {
  const database = new DatabaseSync(file);
  const rows = database.prepare('SELECT key, value FROM sync_page ORDER BY key').all();
  for (const { value } of rows) JSON.parse(value as string);
  database.close();
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
