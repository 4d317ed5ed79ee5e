import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { assertNothingLost } from '../../store-contract/killed-writer.ts';
import { NodeSqliteDriver } from '../../testing/sqlite/node-sqlite-driver.ts';
import { STORE_CONTRACT } from '../../store-contract/store-contract.ts';
import type { StorePlace } from '../../store-contract/store-contract.ts';
import type { Store } from '../store.ts';
import type { SqliteDriver } from './sqlite-driver.ts';
import { decodeKey, encodeKey, endOfPrefix } from './sqlite-key.ts';
import { openSqliteStore } from './sqlite-store.ts';

const WRITER = join(import.meta.dirname, '../../testing/sqlite/main.ts');
const KILLS = 6;

let folder: string;
let file: string;
const drivers = new Map<Store, NodeSqliteDriver>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sync-sqlite-'));
  file = join(folder, 'store.db');
});
afterEach(async () => {
  for (const { database } of drivers.values()) if (database.isOpen) database.close();
  drivers.clear();
  await rm(folder, { recursive: true });
});

async function open(): Promise<Store> {
  const driver = new NodeSqliteDriver(file);
  const store = await openSqliteStore({ driver, close: () => driver.database.close() });
  drivers.set(store, driver);
  return store;
}

function sqlitePlace(): StorePlace {
  return {
    open,
    kill: async (store) => drivers.get(store)?.database.close(),
    isForMany: true,
    histories: 20,
  };
}

describe('the contract of storage, in SQLite', () => {
  it.each(STORE_CONTRACT)('$name', async ({ run }) => {
    await expect(run(sqlitePlace())).resolves.toBeUndefined();
  });
});

describe('a process that is killed while it commits', () => {
  it('loses nothing that was answered, and leaves no half of a commit', async () => {
    let told = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = spawn(process.execPath, ['--conditions=source', '--no-warnings', WRITER, file], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      const begin = told;
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const lines = text.split('\n');
        told = Math.max(told, Number(lines.at(-2) ?? 0));
        // In the middle of the next ones, each time at another moment.
        if (told > begin + 3) setTimeout(() => child.kill('SIGKILL'), kill * 1.5);
      });
      const [, signal] = (await once(child, 'close')) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
      const store = await open();
      await expect(assertNothingLost(store, told)).resolves.toBeUndefined();
      [told = 0] = await store.counters(['n']);
      await store.close();
    }
    expect(told).toBeGreaterThan(KILLS * 3);
  });
});

describe('the database', () => {
  it('is in WAL mode and flushes each commit', async () => {
    const driver = drivers.get(await open());
    expect(await driver?.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
    expect(await driver?.query('PRAGMA synchronous')).toEqual([{ synchronous: 2 }]);
  });

  it('holds several stores, each with its own prefix', async () => {
    const driver = new NodeSqliteDriver(file);
    const [one, two] = [await open(), await openSqliteStore({ driver, prefix: 'two_' })];
    drivers.set(two, driver);
    await one.commit({ puts: [{ table: 'meta', key: 'k', value: {} }], counters: { c: 1 } });
    expect(await two.list('meta', '')).toEqual([]);
    expect(await two.counters(['c'])).toEqual([0]);
    await expect(openSqliteStore({ driver, prefix: 'x; DROP' })).rejects.toMatchObject({ code: 'failed' });
  });

  it('is outdated once a newer version of the app has lifted it, also for who has it open', async () => {
    const store = await open();
    drivers.get(store)?.database.exec('UPDATE sync_format SET version = 2');
    await expect(store.list('meta', '')).rejects.toMatchObject({ code: 'outdated' });
    await expect(store.commit({ counters: { c: 1 } })).rejects.toMatchObject({ code: 'outdated' });
    await expect(open()).rejects.toMatchObject({ code: 'outdated' });
  });

  it.each([
    [
      'answers nothing, as Expo’s withExclusiveTransactionAsync',
      async (driver: NodeSqliteDriver, run: (transaction: SqliteDriver) => Promise<unknown>) => {
        await driver.transaction(run);
      },
    ],
    [
      'does not flush',
      async (_driver: NodeSqliteDriver, run: (transaction: SqliteDriver) => Promise<unknown>) => {
        const other = new NodeSqliteDriver(file);
        await other.exec('PRAGMA synchronous = NORMAL');
        return other.transaction(run).finally(() => other.database.close());
      },
    ],
  ])('is not opened by a driver whose transaction %s', async (_what, transaction) => {
    const driver = new NodeSqliteDriver(file);
    const whole = driver.transaction.bind(driver);
    Object.assign(driver, {
      transaction: (run: (inner: SqliteDriver) => Promise<unknown>) =>
        transaction(Object.assign(Object.create(driver) as NodeSqliteDriver, { transaction: whole }), run),
    });
    await expect(openSqliteStore({ driver })).rejects.toMatchObject({ code: 'unfit' });
    driver.database.close();
  });

  it('says when it is full, and has stored nothing', async () => {
    const store = await open();
    const database = drivers.get(store)?.database;
    const { page_count: pages } = database?.prepare('PRAGMA page_count').get() as { page_count: number };
    database?.exec(`PRAGMA max_page_count = ${pages + 20}`);
    const row = (key: string, letters: number) =>
      ({ table: 'document', key, value: { text: 'x'.repeat(letters) } }) as const;
    expect(await store.commit({ puts: [row('small', 100)] })).toBe(true);
    const big = store.commit({ puts: [row('a', 50_000), row('b', 900_000)], counters: { c: 1 } });
    await expect(big).rejects.toMatchObject({ code: 'full' });
    expect((await store.list('document', '')).map(({ key }) => key)).toEqual(['small']);
    expect(await store.counters(['c'])).toEqual([0]);
    expect(await store.commit({ puts: [row('small too', 100)] })).toBe(true);
  });

  it('says when it cannot be read', async () => {
    const store = await open();
    await store.commit({ puts: [{ table: 'meta', key: 'k', value: {} }] });
    drivers.get(store)?.database.exec(`UPDATE sync_meta SET value = '{"cut'`);
    await expect(store.list('meta', '')).rejects.toMatchObject({ code: 'damaged' });
    await writeFile(join(folder, 'other.db'), 'this is no database, and long enough to be looked at');
    const driver = new NodeSqliteDriver(join(folder, 'other.db'));
    await expect(openSqliteStore({ driver })).rejects.toMatchObject({ code: 'damaged' });
    driver.database.close();
  });
});

describe('keys in SQLite', () => {
  const anyKey = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((n) => String.fromCharCode(n)) });
  const nearKey = fc.string({
    unit: fc.constantFrom('\0', '\u0001', '\u0002', '\u0003', 'a', '\ud83d', '\ude00'),
  });
  const key = fc.oneof(anyKey, nearKey);

  it('come back as they were, in UTF-8 and without NUL', () => {
    fc.assert(
      fc.property(key, (one) => {
        const encoded = encodeKey(one);
        expect(decodeKey(encoded)).toBe(one);
        expect(encoded.isWellFormed() && !encoded.includes('\0')).toBe(true);
      }),
    );
  });

  it('lie in the range of a prefix exactly when they begin with it', () => {
    fc.assert(
      fc.property(nearKey, nearKey, (prefix, rest) => {
        for (const one of [rest, prefix + rest]) {
          const [bytes, from] = [Buffer.from(encodeKey(one)), encodeKey(prefix)];
          const to = endOfPrefix(from);
          const isInside =
            bytes.compare(Buffer.from(from)) >= 0 && (to === null || bytes.compare(Buffer.from(to)) < 0);
          expect(isInside).toBe(one.startsWith(prefix));
        }
      }),
    );
  });

  it('keep the order of ASCII', () => {
    const ascii = fc.string({ unit: fc.integer({ min: 0, max: 127 }).map((n) => String.fromCharCode(n)) });
    fc.assert(
      fc.property(ascii, ascii, (a, b) => {
        expect(Math.sign(Buffer.from(encodeKey(a)).compare(Buffer.from(encodeKey(b))))).toBe(
          a < b ? -1 : Number(a > b),
        );
      }),
    );
  });
});
