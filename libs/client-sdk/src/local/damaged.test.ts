/** What is left of a device of which a row cannot be read any more. */
import { describe, expect, it } from '@jest/globals';
import { makeDevice, quiet } from '../client/testing/make-device.ts';
import { outboxKey } from '../outbox/entry.ts';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import type { TableName } from '../storage/store.ts';
import { LocalState } from './local-state.ts';
import type { OutcomeRow } from './store-outcomes.ts';
import { CrashingDevice, IDENTITY, KEY, NOW, SCOPE } from './testing/crashing-device.ts';
import { WriteQueue } from './write-queue.ts';

/** Of each kind of row at least one, and two writes that wait; the one behind is of `b`. */
async function withEverything(): Promise<CrashingDevice> {
  const device = new CrashingDevice();
  device.server.changeItself('a', { value: 1 });
  await device.start();
  await device.pull(10);
  device.server.changeItself('a', { value: 2 });
  await device.pull(10);
  await device.write('c', 'put', { value: 3 });
  await device.push(() => 'rejected');
  await device.ack();
  await device.write('a', 'patch', { more: 4 });
  await device.write('b', 'put', { value: 5 });
  return device;
}

/** Damages one row of a table. @param at which one */
function damage(disk: MemoryDisk, table: TableName, at = 0): void {
  const rows = disk.tables.get(table) ?? new Map<string, string>();
  const key = [...rows.keys()].sort()[at];
  if (key === undefined) throw new Error(`${table} is empty`);
  rows.set(key, 'no JSON');
}

const idsOf = ({ mirror }: LocalState): string[] =>
  [...mirror.outbox.all()].map(({ mutation }) => mutation.entityId);

describe('a device that starts', () => {
  it.each([
    ['scope', ['a', 'b'], 0],
    ['page', ['a', 'b'], 0],
    ['entity', ['a', 'b'], 0],
    ['outbox', ['b'], 1],
  ] as const)('without a row of %s keeps each write that can be read', async (table, left, lost) => {
    const device = await withEverything();
    damage(device.disk, table);
    device.server.changeItself('d', { value: 6 });
    await device.start();
    expect(device.local.lostWrites).toBe(lost);
    await device.start();
    expect([idsOf(device.local), device.local.lostWrites]).toEqual([left, lost]);
    await device.settle();
    expect(device.seen).toEqual(device.server.data);
    expect(device.seen.get('d')).toEqual({ value: 6 });
    await device.local.wipe();
    await device.start();
    expect(device.local.lostWrites).toBe(0);
  });

  it('touches nothing where it cannot read whose the store is, for its key may be a wrong one', async () => {
    const device = await withEverything();
    damage(device.disk, 'meta');
    const before = structuredClone(device.disk.tables);
    await expect(device.start()).rejects.toMatchObject({ code: 'damaged' });
    expect(device.disk.tables).toEqual(before);
  });

  it('of another device stays out of a damaged store', async () => {
    const device = await withEverything();
    damage(device.disk, 'outbox');
    const other = new LocalState(new MemoryStore(device.disk), { ...IDENTITY, deviceId: 'other' });
    await expect(other.open()).rejects.toMatchObject({ code: 'other_device' });
  });
});

/** Outcomes are in the order of ids by chance. */
async function isFirstOf(disk: MemoryDisk, entityId: string): Promise<boolean> {
  const [first] = await new MemoryStore(disk).list('outcome', '');
  return (first?.value as unknown as OutcomeRow).mutation?.entityId === entityId;
}

describe('a damaged outcome', () => {
  it('is counted as lost, and hides no other one', async () => {
    const disk = new MemoryDisk();
    const { client, notes, transport } = await makeDevice({ disk });
    transport.decide = () => 'rejected';
    client.start();
    await notes.put('a', { value: 1 });
    await notes.put('b', { value: 2 });
    await quiet();
    await client.close();
    damage(disk, 'outcome', (await isFirstOf(disk, 'a')) ? 0 : 1);
    const again = await makeDevice({ disk });
    expect((await again.client.outcomes()).map(({ mutation }) => mutation?.entityId)).toEqual(['b']);
    expect([again.client.status.lostWrites, (await again.client.outcomes()).length]).toEqual([1, 1]);
  });

  it('goes with a rebuild', async () => {
    const device = await withEverything();
    damage(device.disk, 'outcome');
    await device.local.rebuild();
    expect([await device.store.keys('outcome', ''), device.local.lostWrites]).toEqual([[], 1]);
  });

  it('is counted once, however often a rebuild finds no room', async () => {
    const device = await withEverything();
    damage(device.disk, 'outcome');
    device.store.failCommits('full', 2);
    for (let n = 0; n < 2; n += 1) {
      await expect(device.local.rebuild()).rejects.toMatchObject({ code: 'full' });
    }
    expect(device.local.lostWrites).toBe(0);
    await device.local.rebuild();
    expect(device.local.lostWrites).toBe(1);
  });
});

describe('a tab that finds a damaged row', () => {
  async function twoTabs() {
    const device = await withEverything();
    const tab = new LocalState(new MemoryStore(device.disk), IDENTITY);
    await tab.open();
    return { device, tab };
  }

  it('when it begins to lead stores everything anew, also where it has missed another store', async () => {
    const { device, tab } = await twoTabs();
    await device.local.rebuild();
    await device.write('e', 'put', { value: 7 });
    damage(device.disk, 'outbox', 1);
    await tab.lead();
    // It has the second one in memory still, and the first and the last are on the disk.
    expect([idsOf(tab).sort(), tab.store.isLeading]).toEqual([['a', 'b', 'e'], true]);
  });

  it('of what another one has written stores its own write all the same', async () => {
    const { device, tab } = await twoTabs();
    await tab.load('note');
    await device.write('e', 'put', { value: 7 });
    device.disk.tables.get('outbox')?.set(outboxKey(4), 'no JSON');
    const fields = { mutationId: 'm', scope: SCOPE, entityType: 'note', entityId: 'f', occurredAt: NOW };
    await new WriteQueue(tab, KEY).write({ ...fields, op: 'put', data: { value: 8 }, schemaVersion: 1 });
    expect([idsOf(tab), tab.lostWrites]).toEqual([['a', 'b', 'f'], 1]);
  });

  it('of what the app asks for pulls it anew, at once', async () => {
    const disk = new MemoryDisk();
    const first = await makeDevice({ disk });
    first.transport.server.changeItself('a', { value: 1 });
    first.client.start();
    await quiet();
    await first.client.close();
    const { client, notes, transport } = await makeDevice({ disk });
    transport.server.changeItself('a', { value: 1 });
    client.start();
    await quiet();
    damage(disk, 'page');
    await notes.load();
    await quiet();
    expect([client.status.state, notes.get('a')?.data]).toEqual(['live', { value: 1 }]);
  });
});
