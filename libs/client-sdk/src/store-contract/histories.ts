import * as fc from 'fast-check';
import { TABLE_NAMES } from '../storage/store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from '../storage/store.ts';
import type { StoreCheck, StorePlace } from './store-contract.ts';
import { assertSame } from './assertions.ts';

export const HISTORY_CHECKS: readonly StoreCheck[] = [
  { name: 'random histories of commits, crashes and handles', run: randomHistories },
];

const HANDLES = 2;
const COUNTERS = ['a', 'b'];

/** The trivial store that all others are compared with. */
interface Model {
  readonly tables: ReadonlyMap<TableName, ReadonlyMap<string, StoredValue>>;
  readonly counters: Readonly<Record<string, number>>;
}

const EMPTY: Model = { tables: new Map(), counters: {} };

type Step =
  | { readonly kind: 'commit'; readonly change: Commit; readonly isRight: boolean }
  | { readonly kind: 'together'; readonly changes: readonly Commit[] }
  | { readonly kind: 'kill' }
  | { readonly kind: 'close' }
  | { readonly kind: 'clear' }
  | {
      readonly kind: 'read';
      readonly table: TableName;
      readonly keys: readonly string[];
      readonly prefix: string;
    };

/** Few keys, so that histories meet, and among them what an adapter could take for another. */
const key = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('', 'a', 'a\0', 'a\u00001', 'a\u00002', 'a\u0001', 'ab', 'b', 'B'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
);
const table = fc.constantFrom(...TABLE_NAMES.slice(0, 2));
const value = fc
  .dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  // As it will be read: JSON has no -0. Without backslashes, since V8 13.6 itself reads the key `"'` as `\"`
  // after an object that had this one in the same place.
  .map((json) => JSON.parse(JSON.stringify(json).replaceAll('\\\\', '/')) as StoredValue);
const counters = fc.dictionary(fc.constantFrom(...COUNTERS), fc.integer({ min: 0, max: 3 }), { maxKeys: 2 });
const change = fc.record(
  {
    deletePrefixes: fc.array(fc.record({ table, prefix: key }), { maxLength: 1 }),
    deletes: fc.array(fc.record({ table, key }), { maxLength: 2 }),
    puts: fc.array(fc.record({ table, key, value }), { maxLength: 4 }),
    counters,
  },
  { requiredKeys: [] },
);

const steps: fc.Arbitrary<Step>[] = [
  fc.record({ kind: fc.constant('commit' as const), change, isRight: fc.boolean() }),
  fc.record({
    kind: fc.constant('together' as const),
    changes: fc.array(change, { minLength: 2, maxLength: 4 }),
  }),
  fc.constantFrom<Step[]>({ kind: 'kill' }, { kind: 'close' }),
  fc.constant<Step>({ kind: 'clear' }),
  fc.record({
    kind: fc.constant('read' as const),
    table,
    keys: fc.array(key, { maxLength: 3 }),
    prefix: key,
  }),
];
const WEIGHTS = [18, 3, 6, 1, 6];
const step = fc.oneof(...steps.map((arbitrary, n) => ({ arbitrary, weight: WEIGHTS[n] ?? 0 })));

async function randomHistories(place: StorePlace): Promise<void> {
  const history = fc.array(fc.tuple(fc.nat({ max: HANDLES - 1 }), step), { minLength: 5, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(history, (all) => play(place, all)),
    { numRuns: place.histories, endOnFailure: place.histories < 50 },
  );
}

async function play(place: StorePlace, all: readonly (readonly [number, Step])[]): Promise<void> {
  const stores = await Promise.all(Array.from({ length: place.isForMany ? HANDLES : 1 }, () => place.open()));
  let model = EMPTY;
  await stores[0]?.clear();
  for (const [who, one] of all) {
    const handle = who % stores.length;
    const store = stores[handle] as Store;
    switch (one.kind) {
      case 'kill':
      case 'close':
        await (one.kind === 'kill' ? place.kill(store) : store.close());
        stores[handle] = await place.open();
        break;
      case 'clear':
        await store.clear();
        model = EMPTY;
        break;
      case 'read':
        assertSame(await store.get(one.table, one.keys), readModel(model, one.table, one.keys), 'get');
        assertSame(
          sorted(await store.list(one.table, one.prefix)),
          listModel(model, one.table, one.prefix),
          'list',
        );
        assertSame(
          (await store.keys(one.table, one.prefix)).sort(),
          listModel(model, one.table, one.prefix).map((row) => row.key),
          'keys',
        );
        break;
      case 'commit':
        model = await commitOne(store, model, one);
        break;
      case 'together':
        model = await commitTogether(stores, model, one.changes);
    }
  }
  for (const store of stores) await assertLike(store, model);
  await Promise.all(stores.map((store) => store.close()));
}

async function commitOne(store: Store, model: Model, one: Extract<Step, { kind: 'commit' }>): Promise<Model> {
  const expect = Object.fromEntries(
    COUNTERS.map((name) => [name, (model.counters[name] ?? 0) + (one.isRight ? 0 : 1)]),
  );
  assertSame(await store.commit({ ...one.change, expect }), one.isRight, 'the commit');
  return one.isRight ? applied(model, one.change) : model;
}

/** All at once and all expect what is there: one is stored, whichever. */
async function commitTogether(
  stores: readonly Store[],
  model: Model,
  changes: readonly Commit[],
): Promise<Model> {
  const turn = model.counters['turn'] ?? 0;
  const asked = changes.map((one) => ({ ...one, counters: { ...one.counters, turn: turn + 1 } }));
  const won = await Promise.all(
    asked.map((one, n) => (stores[n % stores.length] as Store).commit({ ...one, expect: { turn } })),
  );
  assertSame(won.filter(Boolean).length, 1, 'winners');
  return applied(model, asked[won.indexOf(true)] as Commit);
}

function applied(model: Model, { deletePrefixes, deletes, puts, counters: set }: Commit): Model {
  const tables = new Map([...model.tables].map(([name, rows]) => [name, new Map(rows)]));
  const rowsOf = (name: TableName): Map<string, StoredValue> => {
    const rows = tables.get(name) ?? new Map<string, StoredValue>();
    tables.set(name, rows);
    return rows;
  };
  for (const { table: name, prefix } of deletePrefixes ?? []) {
    for (const one of [...rowsOf(name).keys()]) if (one.startsWith(prefix)) rowsOf(name).delete(one);
  }
  for (const { table: name, key: one } of deletes ?? []) rowsOf(name).delete(one);
  for (const row of puts ?? []) rowsOf(row.table).set(row.key, row.value);
  return { tables, counters: { ...model.counters, ...set } };
}

async function assertLike(store: Store, model: Model): Promise<void> {
  for (const name of TABLE_NAMES) {
    assertSame(sorted(await store.list(name, '')), listModel(model, name, ''), name);
  }
  const names = [...COUNTERS, 'turn'];
  assertSame(
    await store.counters(names),
    names.map((name) => model.counters[name] ?? 0),
    'counters',
  );
}

function readModel(model: Model, name: TableName, keys: readonly string[]): (StoredValue | undefined)[] {
  return keys.map((one) => model.tables.get(name)?.get(one));
}

function listModel(model: Model, name: TableName, prefix: string): StoredRow[] {
  const rows = [...(model.tables.get(name) ?? [])].filter(([one]) => one.startsWith(prefix));
  return sorted(rows.map(([one, stored]) => ({ key: one, value: stored })));
}

/** The order of keys that are not ASCII is the adapter's own. */
function sorted(rows: readonly StoredRow[]): StoredRow[] {
  return [...rows].sort((a, b) => (a.key < b.key ? -1 : 1));
}
