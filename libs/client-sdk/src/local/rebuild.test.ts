/** What becomes of the outbox where the store is emptied, or has to be. */
import { describe, expect, it } from '@jest/globals';
import { counterOf } from '@sync/vector-clock';
import { outboxKey } from '../outbox/entry.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import { LocalState } from './local-state.ts';
import { CrashingDevice, MUCH_LATER } from './testing/crashing-device.ts';

async function withWrites(): Promise<CrashingDevice> {
  const device = new CrashingDevice();
  await device.start();
  await device.write('a', 'put', { value: 1 });
  await device.write('a', 'patch', { more: 2 });
  return device;
}

const idsOf = (device: CrashingDevice): string[] =>
  [...device.local.mirror.outbox.all()].map(({ mutation }) => mutation.mutationId);

describe('a rebuild', () => {
  it('that finds no room keeps what is in memory, for the next one', async () => {
    const device = await withWrites();
    await new MemoryStore(device.disk).clear();
    device.store.failCommits('full');
    await expect(device.local.rebuild()).rejects.toMatchObject({ code: 'full' });
    expect(device.seen).toEqual(new Map([['a', { value: 1, more: 2 }]]));
    await device.local.rebuild();
    await device.start();
    expect(idsOf(device)).toEqual(device.answered);
  });

  it.each(['before', 'after'] as const)('loses nothing that is stored, dying %s its commit', async (when) => {
    const device = await withWrites();
    await device.survive(() => device.local.rebuild(), { commit: 1, when });
    expect([device.crashes, idsOf(device)]).toEqual([1, device.answered]);
  });

  it('goes on counting its own changes of an entity that waits', async () => {
    const device = await withWrites();
    await new MemoryStore(device.disk).clear();
    await device.local.rebuild();
    await device.write('a', 'put', { value: 3 });
    const counters = [...device.local.mirror.outbox.all()].map(({ mutation }) =>
      counterOf(mutation.baseClock ?? {}, 'd:dev'),
    );
    expect(counters).toEqual([0, 1, 2]);
  });

  it('of a damaged store keeps what another tab has stored, as far as it can be read', async () => {
    const device = await withWrites();
    const tab = new CrashingDevice(device.server, 'dev', device.disk);
    await tab.start();
    await tab.write('b', 'put', { value: 1 });
    await tab.write('c', 'put', { value: 1 });
    await tab.write('d', 'put', { value: 1 });
    device.disk.tables.get('outbox')?.set(outboxKey(4), 'no JSON');
    await device.local.rebuild();
    await device.start();
    expect(device.seen.size).toBe(3);
    expect(idsOf(device)).toEqual([...device.answered, tab.answered[0], tab.answered[2]]);
  });

  it('counts what cannot be read of another tab once, however often it finds no room', async () => {
    const device = await withWrites();
    const tab = new CrashingDevice(device.server, 'dev', device.disk);
    await tab.start();
    await tab.write('b', 'put', { value: 1 });
    device.disk.tables.get('outbox')?.set(outboxKey(3), 'no JSON');
    device.store.failCommits('full', 2);
    for (let n = 0; n < 2; n += 1) {
      await expect(device.local.rebuild()).rejects.toMatchObject({ code: 'full' });
    }
    await device.local.rebuild();
    expect(device.local.lostWrites).toBe(1);
    await device.start();
    expect([idsOf(device), device.local.lostWrites]).toEqual([device.answered, 1]);
  });

  it.each([
    ['goes on', (device: CrashingDevice) => device.local.rebuild()],
    ['starts', (device: CrashingDevice) => device.start()],
  ])(
    'counts no write as lost that another tab puts back, where one that %s was first',
    async (_what, find) => {
      const device = await withWrites();
      const tab = new CrashingDevice(device.server, 'dev', device.disk);
      await tab.start();
      await tab.write('b', 'put', { value: 1 });
      await tab.write('c', 'put', { value: 1 });
      for (const at of [1, 3]) device.disk.tables.get('outbox')?.set(outboxKey(at), 'no JSON');
      await find(device);
      const lost = device.local.lostWrites;
      await tab.local.catchUp();
      await device.local.catchUp();
      expect(idsOf(device).sort()).toEqual([...device.answered, ...tab.answered].sort());
      expect([lost > 0, device.local.lostWrites, tab.local.lostWrites]).toEqual([true, 0, 0]);
    },
  );

  it('by another tab is noticed by one that hears nothing, with what that one has put back', async () => {
    const device = await withWrites();
    const tab = new CrashingDevice(device.server, 'dev', device.disk);
    await tab.start();
    await tab.write('b', 'put', { value: 1 });
    await new MemoryStore(device.disk).clear();
    await device.local.rebuild();
    await tab.local.catchUp();
    await device.local.catchUp();
    expect(idsOf(device)).toEqual([...device.answered, ...tab.answered]);
  });

  it.each([
    ['not sent', async () => undefined],
    ['sent', (device: CrashingDevice) => device.push(() => 'applied')],
    ['acked', (device: CrashingDevice) => device.push(() => 'applied').then(() => device.ack())],
  ])('shows no write again that has ended since a tab knew it as %s', async (_what, before) => {
    const device = await withWrites();
    await before(device);
    const tab = new CrashingDevice(device.server, 'dev', device.disk);
    await tab.start();
    await device.start();
    await device.settle();
    await device.write('a', 'put', { value: 3 });
    await device.settle();
    expect(idsOf(device)).toEqual([]);
    await device.local.rebuild();
    await device.settle();
    await tab.local.catchUp();
    await device.local.catchUp();
    const shown = new Map([['a', { value: 3 }]]);
    expect([device.seen, tab.seen]).toEqual([shown, shown]);
    await device.start();
    await device.push(() => 'applied');
    await device.ack();
    expect([device.seen, device.server.applied.length]).toEqual([shown, 3]);
    expect(await device.store.keys('outbox', '')).toEqual([]);
  });

  it('while another tab reads a write leaves nothing there to be put back once that has ended', async () => {
    const device = new CrashingDevice();
    await device.start();
    const store = new MemoryStore(device.disk);
    const tab = new LocalState(store, device.identity);
    await tab.open();
    await device.write('b', 'put', { value: 1 });
    const get = store.get.bind(store);
    store.get = async (...asked) => {
      store.get = get;
      await device.local.rebuild();
      return get(...asked);
    };
    await tab.lookForWrites();
    await device.settle();
    await tab.catchUp();
    expect([...tab.mirror.outbox.all()]).toEqual([]);
    expect(await device.store.keys('outbox', '')).toEqual([]);
  });

  it('keeps outcomes that the app has not seen', async () => {
    const device = await withWrites();
    await device.push(() => 'rejected');
    await device.local.rebuild();
    expect((await device.store.list('outcome', '')).length).toBe(2);
  });

  it('lets a change go that no resync brings any more, of whatever generation its scope was', async () => {
    const device = await withWrites();
    for (let round = 0; round < 3; round += 1) {
      device.server.loseHistory();
      while (await device.pull(10));
    }
    await device.push(() => 'applied');
    device.server.changeItself('a', null);
    device.server.loseHistory();
    await device.local.rebuild();
    while (await device.pull(10, MUCH_LATER));
    await device.ack();
    expect([idsOf(device), device.seen.size]).toEqual([[], 0]);
  });
});
