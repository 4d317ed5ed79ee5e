import { describe, expect, it } from '@jest/globals';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import { FaultyStore } from './faulty-store.ts';
import { STORE_CONTRACT } from '../store-contract/store-contract.ts';

const ROW = { table: 'outbox', key: 'k', value: { n: 1 } } as const;

describe('a store that can fail', () => {
  it.each(STORE_CONTRACT)('keeps the contract while nothing fails: $name', async ({ run }) => {
    const disk = new MemoryDisk();
    const place = {
      open: async () => new FaultyStore(new MemoryStore(disk)),
      kill: async (store: unknown) => (store as FaultyStore).kill(),
      isForMany: true,
      histories: 20,
    };
    await expect(run(place)).resolves.toBeUndefined();
  });

  it('fails as often as it was told, and stores nothing of it', async () => {
    const store = new FaultyStore(new MemoryStore());
    store.failCommits('full', 2);
    await expect(store.commit({ puts: [ROW] })).rejects.toMatchObject({ code: 'full' });
    await expect(store.commit({ puts: [ROW] })).rejects.toMatchObject({ code: 'full' });
    expect(await store.list('outbox', '')).toEqual([]);
    expect(await store.commit({ puts: [ROW] })).toBe(true);
    expect(store.commits).toBe(3);
  });

  it.each(['before', 'after'] as const)('dies %s the second commit is stored', async (when) => {
    const disk = new MemoryDisk();
    const store = new FaultyStore(new MemoryStore(disk));
    store.crashAt(2, when);
    await store.commit({ counters: { n: 1 } });
    let answered = false;
    const told = (): void => void (answered = true);
    store.commit({ puts: [ROW] }).then(told, told);
    await store.crashed;
    store.list('outbox', '').then(told, told);
    store.close().then(told, told);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    const rows = await new MemoryStore(disk).list('outbox', '');
    expect(rows).toEqual(when === 'after' ? [{ key: 'k', value: { n: 1 } }] : []);
  });
});
