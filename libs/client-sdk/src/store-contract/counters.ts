import type { Store } from '../storage/store.ts';
import type { StoreCheck, StorePlace } from './store-contract.ts';
import { assertSame } from './assertions.ts';

const RACERS = 8;
const ROUNDS = 5;
const MOST_TRIES = 1_000;

export const COUNTER_CHECKS: readonly StoreCheck[] = [
  { name: 'a commit that expects something else stores nothing', run: expectElse },
  { name: 'all counters of expect have to fit', run: expectAll },
  { name: 'counters keep safe integers, also below zero', run: edgesOfCounters },
  { name: 'of commits that race for one counter exactly one wins', run: raceOnOneHandle },
  { name: 'the same of several handles', run: raceOfHandles },
  { name: 'no step of a counter is lost while all begin again', run: countTogether },
  { name: 'a read sees whole commits only', run: wholeCommits },
];

async function expectElse(place: StorePlace): Promise<void> {
  const store = await place.open();
  await store.commit({ puts: [{ table: 'meta', key: 'a', value: { n: 1 } }], counters: { c: 1 } });
  const change = {
    deletePrefixes: [{ table: 'meta' as const, prefix: '' }],
    deletes: [{ table: 'meta' as const, key: 'a' }],
    puts: [{ table: 'outbox' as const, key: 'b', value: {} }],
    counters: { c: 9, d: 9 },
  };
  assertSame(await store.commit({ ...change, expect: { c: 0 } }), false, 'expects less');
  assertSame(await store.commit({ ...change, expect: { c: 2 } }), false, 'expects more');
  assertSame(await store.list('meta', ''), [{ key: 'a', value: { n: 1 } }], 'what was there');
  assertSame(await store.list('outbox', ''), [], 'what was put');
  assertSame(await store.counters(['c', 'd']), [1, 0], 'counters');
  assertSame(await store.commit({ ...change, expect: { c: 1 } }), true, 'expects what is');
  assertSame(await store.counters(['d', 'c']), [9, 9], 'counters afterwards');
  await store.close();
}

async function expectAll(place: StorePlace): Promise<void> {
  const store = await place.open();
  await store.commit({ counters: { a: 1, b: 2 } });
  assertSame(await store.commit({ expect: { a: 1, b: 3 }, counters: { a: 5 } }), false, 'one does not fit');
  assertSame(await store.commit({ expect: { a: 1, b: 2, never: 1 } }), false, 'one was never set');
  assertSame(await store.commit({ expect: { a: 1, b: 2, never: 0 }, counters: { a: 5 } }), true, 'all fit');
  assertSame(await store.counters(['a', 'b']), [5, 2], 'counters');
  await store.close();
}

async function edgesOfCounters(place: StorePlace): Promise<void> {
  const store = await place.open();
  const counters = {
    '': 1,
    'a\0b': 2,
    '\u{1f600}': 3,
    max: Number.MAX_SAFE_INTEGER,
    min: Number.MIN_SAFE_INTEGER,
    zero: 0,
  };
  assertSame(await store.commit({ counters }), true, 'the commit');
  await place.kill(store);
  const again = await place.open();
  assertSame(await again.counters(Object.keys(counters)), Object.values(counters), 'counters');
  assertSame(await again.commit({ expect: counters, counters: { max: 0 } }), true, 'expects all of them');
  await again.close();
}

async function raceOnOneHandle(place: StorePlace): Promise<void> {
  const store = await place.open();
  await race(Array<Store>(RACERS).fill(store));
  await store.close();
}

async function raceOfHandles(place: StorePlace): Promise<void> {
  const stores = await handles(place);
  await race(Array.from({ length: RACERS }, (_unused, n) => stores[n % stores.length] as Store));
  await Promise.all(stores.map((store) => store.close()));
}

async function race(stores: readonly Store[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const won = await Promise.all(
      stores.map((store, racer) =>
        store.commit({
          expect: { turn: round },
          counters: { turn: round + 1 },
          puts: [{ table: 'outbox', key: `${round}\0${racer}`, value: { racer } }],
        }),
      ),
    );
    assertSame(won.filter(Boolean).length, 1, `winners of round ${round}`);
    const rows = (await stores[0]?.list('outbox', `${round}\0`)) ?? [];
    const winner = won.indexOf(true);
    assertSame(rows, [{ key: `${round}\0${winner}`, value: { racer: winner } }], `rows of round ${round}`);
  }
}

async function countTogether(place: StorePlace): Promise<void> {
  const stores = await handles(place);
  const count = async (store: Store, who: number): Promise<void> => {
    let steps = 0;
    // Bounded: a broken store is to fail, not to go round for ever.
    for (let tries = 0; steps < ROUNDS && tries < MOST_TRIES; tries += 1) {
      const [n = 0] = await store.counters(['n']);
      const puts = [{ table: 'outcome' as const, key: String(n).padStart(3, '0'), value: { who } }];
      if (await store.commit({ expect: { n }, counters: { n: n + 1 }, puts })) steps += 1;
    }
  };
  const people = [...stores, ...stores];
  await Promise.all(people.map(count));
  const steps = people.length * ROUNDS;
  const [store] = stores as [Store];
  assertSame(await store.counters(['n']), [steps], 'the counter');
  const rows = await store.list('outcome', '');
  assertSame(rows.length, steps, 'a row for each step');
  for (const who of people.keys()) {
    assertSame(rows.filter(({ value }) => value['who'] === who).length, ROUNDS, `steps of ${who}`);
  }
  await Promise.all(stores.map((one) => one.close()));
}

/** Every commit writes the same number into all rows, while others read them. */
async function wholeCommits(place: StorePlace): Promise<void> {
  const stores = await handles(place);
  const [writer] = stores as [Store];
  const keys = Array.from({ length: 50 }, (_unused, n) => `k${n}`);
  const write = async (n: number): Promise<unknown> =>
    writer.commit({ puts: keys.map((key) => ({ table: 'entity', key, value: { n } })), counters: { n } });
  await write(0);
  const progress = { isDone: false };
  const read = async (store: Store): Promise<void> => {
    while (!progress.isDone) {
      // Not in microtasks alone: nobody else would ever have a turn.
      await new Promise((resolve) => setTimeout(resolve));
      const listed = await store.list('entity', 'k');
      assertSame(new Set(listed.map(({ value }) => value['n'])).size, 1, 'numbers in a list');
      const got = await store.get('entity', keys);
      assertSame(new Set(got.map((value) => value?.['n'])).size, 1, 'numbers in a get');
    }
  };
  const writeAll = async (): Promise<void> => {
    for (let n = 1; n <= ROUNDS * 4; n += 1) await write(n);
  };
  const writing = writeAll().finally(() => (progress.isDone = true));
  await Promise.all([writing, ...stores.map(read)]);
  await Promise.all(stores.map((store) => store.close()));
}

function handles(place: StorePlace): Promise<Store[]> {
  return Promise.all(Array.from({ length: place.isForMany ? 3 : 1 }, () => place.open()));
}
