import { deleteDB, openDB } from 'idb';
import type { Store } from '../../store.ts';
import { openIndexedDbStore } from '../index.ts';
import { benchBatches } from '../../../testing/bench-rows.ts';
import { IDENTITY, measureDeviceWork, timeOf } from '../../../testing/device-work.ts';
import type { BenchTimes, BrowserDeviceTimes } from '../../../testing/page-functions.ts';
import { importDeviceKey, webCryptoKey } from '../../../net/webcrypto-key.ts';

const KEY = 'key';
const PAGE = 500;

/** The same rows in the same batches by bare `idb` and by the store, in turns. */
export async function benchmark(
  count: number,
  batch: number,
): Promise<{ floor: BenchTimes; store: BenchTimes }> {
  const batches = benchBatches(count, batch);
  return { floor: await measureFloor(batches), store: await measureStore(batches) };
}

/** A device with so many entities, and as many rows written by bare `idb`. */
export async function benchmarkDevice(entities: number): Promise<BrowserDeviceTimes> {
  const { writtenMs } = await measureFloor(benchBatches(entities, PAGE));
  const name = `device-${crypto.randomUUID()}`;
  const key = await webCryptoKey(await importDeviceKey(new Uint8Array(32)), IDENTITY);
  const place = { open: () => openIndexedDbStore({ name }), readBare: () => timeOf(() => readPages(name)) };
  const times = await measureDeviceWork(entities, place, key);
  await deleteDB(name);
  return { ...times, floorMs: writtenMs };
}

async function readPages(name: string): Promise<void> {
  const database = await openDB(name);
  for (const text of await database.getAll('page')) JSON.parse(text as string);
  database.close();
}

type Batches = readonly (readonly { key: string; value: Record<string, unknown> }[])[];

async function measureFloor(batches: Batches): Promise<BenchTimes> {
  const name = `floor-${crypto.randomUUID()}`;
  const database = await openDB(name, 1, {
    upgrade: (opened) => void opened.createObjectStore('rows', { keyPath: KEY }),
  });
  const writtenMs = await timeOf(async () => {
    for (const rows of batches) {
      const transaction = database.transaction('rows', 'readwrite', { durability: 'strict' });
      const puts = rows.map((row) => transaction.store.put(row));
      await Promise.all([...puts, transaction.done]);
    }
  });
  const listedMs = await timeOf(async () => assertCount(await database.getAll('rows'), batches));
  database.close();
  await deleteDB(name);
  return { writtenMs, listedMs };
}

async function measureStore(batches: Batches): Promise<BenchTimes> {
  const name = `store-${crypto.randomUUID()}`;
  const store: Store = await openIndexedDbStore({ name });
  let n = 0;
  const writtenMs = await timeOf(async () => {
    for (const rows of batches) {
      const puts = rows.map((row) => ({ table: 'entity' as const, ...row }));
      await store.commit({ puts, expect: { n }, counters: { n: (n += 1) } });
    }
  });
  const listedMs = await timeOf(async () => assertCount(await store.list('entity', ''), batches));
  await store.close();
  await deleteDB(name);
  return { writtenMs, listedMs };
}

function assertCount(found: readonly unknown[], batches: Batches): void {
  const expected = batches.reduce((sum, rows) => sum + rows.length, 0);
  if (found.length !== expected) throw new Error(`${found.length} of ${expected} rows are there`);
}
