/** What the browser runs for `indexeddb.browser.test.ts`, which calls these functions of `globalThis`. */
import { deleteDB, openDB } from 'idb';
import { assertNothingLost, writeUntilKilled } from '../../../store-contract/killed-writer.ts';
import type { PageFailure, PageFunctions } from '../../../testing/page-functions.ts';
import { STORE_CONTRACT } from '../../../store-contract/store-contract.ts';
import type { StorePlace } from '../../../store-contract/store-contract.ts';
import { EncryptedStore } from '../../encrypted-store.ts';
import type { Store } from '../../store.ts';
import { keepStorage, openIndexedDbStore } from '../index.ts';
import { benchmark, benchmarkDevice } from './benchmark.ts';

const functions: PageFunctions = {
  runCheck,
  runEncryptedCheck,
  writeUntilKilled: async (name: string, tell: string) => {
    const hear = (globalThis as unknown as Record<string, (n: number) => Promise<void>>)[tell];
    if (!hear) throw new Error(`there is no function ${tell}`);
    await writeUntilKilled(await openIndexedDbStore({ name }), hear);
  },
  assertNothingLost: async (name: string, told: number) => {
    const store = await openIndexedDbStore({ name });
    await assertNothingLost(store, told);
    const [n = 0] = await store.counters(['n']);
    await store.close();
    return n;
  },
  count,
  fill,
  rowsOf: async (name: string) => {
    const store = await openIndexedDbStore({ name });
    const rows = await store.list('document', '');
    await store.close();
    return rows.map(({ key }) => key);
  },
  liftBehindItsBack,
  deleteBehindItsBack,
  step,
  keepStorage,
  benchmark,
  benchmarkDevice,
};
Object.assign(globalThis, { storage: functions });

async function runCheck(name: string): Promise<void> {
  await check(name, (database) => openIndexedDbStore({ name: database }));
}

async function runEncryptedCheck(name: string): Promise<void> {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
    'encrypt',
    'decrypt',
  ]);
  await check(
    name,
    async (database) => new EncryptedStore(await openIndexedDbStore({ name: database }), key),
  );
}

async function check(name: string, open: (database: string) => Promise<Store>): Promise<void> {
  const law = STORE_CONTRACT.find((one) => one.name === name);
  if (!law) throw new Error(`no law is called ${name}`);
  const database = `check-${crypto.randomUUID()}`;
  const place: StorePlace = {
    open: () => open(database),
    // Handles that are never asked again; whole pages are killed in tests of their own.
    kill: async () => undefined,
    isForMany: true,
    histories: 20,
  };
  await law.run(place);
}

/** Raises one counter `steps` times, beginning again when another tab was first. */
async function count(name: string, who: string, steps: number): Promise<void> {
  const store = await openIndexedDbStore({ name });
  for (let done = 0; done < steps;) {
    const [n = 0] = await store.counters(['n']);
    const puts = [{ table: 'document' as const, key: String(n).padStart(4, '0'), value: { who } }];
    if (await store.commit({ expect: { n }, counters: { n: n + 1 }, puts })) done += 1;
  }
  await store.close();
}

/** Commits megabytes until there is no room. @returns how many were stored, and the error */
async function fill(name: string, most: number): Promise<{ stored: number; failure: PageFailure | null }> {
  const store = await openIndexedDbStore({ name });
  const letters = Array.from({ length: 1024 * 1024 }, () => String.fromCharCode(33 + Math.random() * 90));
  const text = letters.join('');
  for (let stored = 0; stored < most; stored += 1) {
    try {
      await store.commit({
        puts: [
          { table: 'document', key: `${stored}a`, value: { text } },
          { table: 'document', key: `${stored}b`, value: { text } },
        ],
      });
    } catch (error) {
      return { stored, failure: failureOf(error) };
    }
  }
  return { stored: most, failure: null };
}

/** A newer version of the app lifts the database while a tab of this one has it open. */
async function liftBehindItsBack(name: string): Promise<PageFailure[]> {
  const store = await openIndexedDbStore({ name });
  await store.commit({ counters: { n: 1 } });
  (await openDB(name, 99)).close();
  const attempts = [() => store.counters(['n']), () => store.commit({}), () => openIndexedDbStore({ name })];
  const failures: PageFailure[] = [];
  for (const attempt of attempts) {
    await attempt().then(
      () => failures.push({ code: 'none', message: '' }),
      (error: unknown) => failures.push(failureOf(error)),
    );
  }
  return failures;
}

/** The user clears the data of the site while a tab has it open: it goes on with an empty store. */
async function deleteBehindItsBack(name: string): Promise<number[]> {
  const store = await openIndexedDbStore({ name });
  await store.commit({ counters: { n: 5 } });
  await deleteDB(name);
  const [afterwards = -1] = await store.counters(['n']);
  await store.commit({ counters: { n: 1 }, expect: { n: 0 } });
  const [atLast = -1] = await store.counters(['n']);
  await store.close();
  return [afterwards, atLast];
}

let held: Store | undefined;

async function step(name: string): Promise<number> {
  held ??= await openIndexedDbStore({ name });
  const [n = 0] = await held.counters(['n']);
  await held.commit({ counters: { n: n + 1 } });
  return n + 1;
}

function failureOf(error: unknown): PageFailure {
  const { code = '', message } = error as Error & { code?: string };
  return { code, message };
}
