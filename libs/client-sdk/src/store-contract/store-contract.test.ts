import { describe, expect, it } from '@jest/globals';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import type { Commit, Store, StoredRow, TableName } from '../storage/store.ts';
import { STORE_CONTRACT } from './store-contract.ts';

/** Stores that break one law each: what the contract does not catch, it does not check. */
const BROKEN: Readonly<Record<string, (disk: MemoryDisk) => Store>> = {
  'ignores expect': (disk) =>
    changing(disk, (store, { expect: _ignored, ...change }) => store.commit(change)),
  'looks at the first counter of expect only': (disk) =>
    changing(disk, (store, { expect: expected, ...change }) => {
      const [first] = Object.entries(expected ?? {});
      return store.commit({ ...change, ...(first ? { expect: { [first[0]]: first[1] } } : {}) });
    }),
  'checks expect some time before it stores': (disk) =>
    changing(disk, async (store, { expect: expected = {}, ...change }) => {
      const found = await store.counters(Object.keys(expected));
      if (Object.values(expected).some((value, n) => value !== found[n])) return false;
      return store.commit(change);
    }),
  'deletes after it puts': (disk) =>
    changing(disk, async (store, { deletes, deletePrefixes, ...change }) => {
      if (!(await store.commit(change))) return false;
      return store.commit({ ...(deletes ? { deletes } : {}), ...(deletePrefixes ? { deletePrefixes } : {}) });
    }),
  'stores one row after the other': (disk) =>
    changing(disk, async (store, { puts, ...change }) => {
      if (!(await store.commit(change))) return false;
      for (const put of puts ?? []) await store.commit({ puts: [put] });
      return true;
    }),
  'stores the rows and then finds a counter wrong': (disk) =>
    changing(disk, async (store, { counters, ...change }) => {
      if (!(await store.commit(change))) return false;
      return store.commit(counters ? { counters } : {});
    }),
  'takes neighbours with a prefix': (disk) =>
    reading(disk, (store, table, prefix) => store.list(table, prefix.replace(/\0$/, ''))),
  'reads % as anything': (disk) =>
    reading(disk, async (store, table, prefix) => {
      const rows = await store.list(table, '');
      const like = new RegExp(`^${prefix.replaceAll(/[^%\w]/g, '.').replaceAll('%', '.*')}`);
      return prefix.includes('%') ? rows.filter(({ key }) => like.test(key)) : store.list(table, prefix);
    }),
  'takes two forms of one letter for one': (disk) =>
    changing(disk, (store, change) =>
      store.commit({
        ...change,
        ...(change.puts ? { puts: change.puts.map((row) => ({ ...row, key: row.key.normalize() })) } : {}),
      }),
    ),
  'has keys of other rows than it lists': (disk) => {
    const store = new MemoryStore(disk);
    store.keys = async (table, prefix) =>
      (await store.list(table, '')).flatMap(({ key }) => (key >= prefix ? [key] : []));
    return store;
  },
  'lists in no order': (disk) =>
    reading(disk, async (store, table, prefix) => (await store.list(table, prefix)).reverse()),
  'lets the caller change what it took': (disk) =>
    changing(disk, async (store, change) => {
      await Promise.resolve();
      return store.commit(change);
    }),
  'forgets what was not closed': forgetful,
  'keeps counters when it is cleared': (disk) => {
    const store = new MemoryStore(disk);
    store.clear = async () => disk.tables.clear();
    return store;
  },
  'keeps what is there when a commit begins anew': (disk) =>
    changing(disk, (store, { isAnew: _ignored, ...change }) => store.commit(change)),
  'answers after it was closed': (disk) => {
    const store = new MemoryStore(disk);
    store.close = async () => undefined;
    return store;
  },
  'loses what is under way when it is closed': (disk) =>
    changing(disk, async (store, change) => {
      const copy = structuredClone(change);
      await new Promise((resolve) => setImmediate(resolve));
      return store.commit(copy);
    }),
};

describe.each(Object.entries(BROKEN))('a store that %s', (_name, open) => {
  it('breaks the contract', async () => {
    const caught: string[] = [];
    for (const check of STORE_CONTRACT) {
      const disk = new MemoryDisk();
      const place = {
        open: async () => open(disk),
        kill: async () => undefined,
        isForMany: true,
        histories: 100,
      };
      await check.run(place).catch(() => caught.push(check.name));
    }
    expect(caught).not.toEqual([]);
  });
});

function changing(
  disk: MemoryDisk,
  commit: (store: MemoryStore, change: Commit) => Promise<boolean>,
): MemoryStore {
  const [store, inner] = [new MemoryStore(disk), new MemoryStore(disk)];
  let isClosed = false;
  const close = store.close.bind(store);
  store.close = () => {
    isClosed = true;
    void inner.close();
    return close();
  };
  // Only its own fault is to be found.
  const closed = store.commit.bind(store);
  store.commit = (change) => (isClosed ? closed(change) : commit(inner, change));
  return store;
}

function reading(
  disk: MemoryDisk,
  list: (store: Store, table: TableName, prefix: string) => Promise<StoredRow[]>,
): MemoryStore {
  const [store, inner] = [new MemoryStore(disk), new MemoryStore(disk)];
  const own = store.list.bind(store);
  let isClosed = false;
  const close = store.close.bind(store);
  store.close = () => {
    isClosed = true;
    return close();
  };
  store.list = (table, prefix) => (isClosed ? own(table, prefix) : list(inner, table, prefix));
  return store;
}

/** Writes to the disk when it is closed. */
function forgetful(disk: MemoryDisk): Store {
  const own = new MemoryDisk();
  for (const [table, rows] of disk.tables) own.tables.set(table, new Map(rows));
  for (const [name, value] of disk.counters) own.counters.set(name, value);
  const store = new MemoryStore(own);
  const close = store.close.bind(store);
  store.close = async () => {
    for (const [table, rows] of own.tables) disk.tables.set(table, rows);
    for (const [name, value] of own.counters) disk.counters.set(name, value);
    return close();
  };
  return store;
}
