/** Who reads rows that another version of the app has written. */
import { expect, it } from '@jest/globals';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import { newStoreId } from './guarded-store.ts';
import { LocalState } from './local-state.ts';
import { IDENTITY } from './testing/crashing-device.ts';

async function opened(disk: MemoryDisk): Promise<LocalState> {
  const local = new LocalState(new MemoryStore(disk), IDENTITY);
  await local.open();
  return local;
}

async function rewrite(disk: MemoryDisk, change: object): Promise<void> {
  const store = new MemoryStore(disk);
  const [row] = await store.list('meta', '');
  const puts = [{ table: 'meta', key: row?.key ?? '', value: { ...row?.value, ...change } }] as const;
  await store.commit({ puts, counters: { store: newStoreId() } });
}

it.each([
  ['a newer version', { format: 2 }, 'outdated'],
  ['no version that is known', { format: undefined }, 'damaged'],
])('rows of %s are not read', async (_whose, change, code) => {
  const disk = new MemoryDisk();
  await opened(disk);
  await expect(opened(disk)).resolves.toBeInstanceOf(LocalState);
  await rewrite(disk, change);
  await expect(opened(disk)).rejects.toMatchObject({ code });
});

it('rows that a newer version has lifted are not read by a tab of this one that is open', async () => {
  const disk = new MemoryDisk();
  const tab = await opened(disk);
  await rewrite(disk, { format: 2 });
  await expect(tab.catchUp()).rejects.toMatchObject({ code: 'outdated' });
});
