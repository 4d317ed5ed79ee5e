/** What a tab hears of another one's commits is what it would read itself. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryStore } from '../storage/memory-store.ts';
import type { Told } from './guarded-store.ts';
import { LocalState } from './local-state.ts';
import { CrashingDevice, IDENTITY } from './testing/crashing-device.ts';

const entityId = fc.constantFrom('a', 'b', 'c', 'd');
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), entityId, value: fc.nat(99) }),
  fc.record({ do: fc.constant('others' as const), entityId, value: fc.option(fc.nat(99)) }),
  fc.record({ do: fc.constant('push' as const), isRefused: fc.boolean() }),
  fc.record({ do: fc.constant('pull' as const), limit: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constantFrom('ack', 'lose_history', 'revoke', 'grant', 'hear', 'load') }),
);

async function perform(device: CrashingDevice, what: typeof step extends fc.Arbitrary<infer T> ? T : never) {
  if (what.do === 'put') await device.write(what.entityId, 'put', { value: what.value });
  if (what.do === 'others') {
    device.server.changeItself(what.entityId, what.value === null ? null : { value: what.value });
  }
  if (what.do === 'push') await device.push(() => (what.isRefused ? 'rejected' : 'applied'));
  if (what.do === 'pull') await device.pull(what.limit);
  if (what.do === 'ack') await device.ack();
  if (what.do === 'lose_history') device.server.loseHistory();
  if (what.do === 'revoke') device.server.revoke();
  if (what.do === 'grant') device.server.grant();
}

it('sees in another tab what the leading one sees, whenever that tab hears of it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (history, isLoaded) => {
      const device = new CrashingDevice();
      await device.start();
      const tab = new LocalState(new MemoryStore(device.disk), IDENTITY);
      await tab.open();
      if (isLoaded) await tab.load('note');
      const told: Told[] = [];
      device.local.store.onStored = (each) => told.push(each);
      const hear = async (): Promise<void> => {
        for (const each of told.splice(0)) await tab.hear(each);
      };
      for (const what of history) {
        await perform(device, what);
        if (what.do === 'hear') await hear();
        if (what.do === 'load') await tab.load('note');
      }
      await tab.load('note');
      await hear();
      const seen = new Map(tab.mirror.list('note').map(({ id, data }) => [id, data]));
      expect(seen).toEqual(device.seen);
      expect(new Map(tab.mirror.scopes)).toEqual(new Map(device.local.mirror.scopes));
    }),
    { numRuns: 200 },
  );
});

/** A device, and a tab that hears what it is told to. */
async function twoTabs() {
  const device = new CrashingDevice();
  await device.start();
  const tab = new LocalState(new MemoryStore(device.disk), IDENTITY);
  await tab.open();
  const told: Told[] = [];
  device.local.store.onStored = (each) => told.push(each);
  const seen = (): unknown[] => tab.mirror.list('note').map(({ data }) => data);
  const hearAll = async (): Promise<void> => {
    for (const each of told.splice(0)) await tab.hear(each);
  };
  return { device, tab, told, seen, hearAll };
}

it('never goes back to what a page has brought where it has read what came after that page', async () => {
  const { device, tab, told, seen, hearAll } = await twoTabs();
  device.server.changeItself('a', { value: 'first' });
  device.server.changeItself('b', { value: 'b' });
  await device.pull(1);
  await hearAll();
  await device.pull(1);
  device.server.changeItself('b', { value: 'later' });
  await device.pull(1);
  await tab.load('note');
  expect(told.length).toBe(2);
  for (const each of told) {
    await tab.hear(each);
    expect(seen()).toEqual([{ value: 'first' }, { value: 'later' }]);
  }
});

describe('a store that is begun while a tab hears of the one before', () => {
  /** Does it when the tab has begun to read. */
  function meanwhile({ store }: LocalState, work: () => Promise<unknown>): void {
    const get = store.get.bind(store);
    store.get = async (...asked) => {
      store.get = get;
      await work();
      return get(...asked);
    };
  }

  it('is followed from its first commit on', async () => {
    const { device, tab, seen, hearAll } = await twoTabs();
    await tab.load('note');
    for (const value of [1, 2, 3]) {
      device.server.changeItself('a', { value });
      await device.pull(10);
    }
    await hearAll();
    await device.write('b', 'put', { value: 4 });
    await device.push(() => 'applied');
    meanwhile(tab, () => device.local.rebuild());
    await hearAll();
    await device.pull(10);
    await hearAll();
    expect(seen()).toEqual(expect.arrayContaining([{ value: 3 }, { value: 4 }]));
  });

  it('loses nothing by what had been deleted in that one', async () => {
    const { device, tab, told, seen, hearAll } = await twoTabs();
    await tab.load('note');
    device.server.changeItself('a', { value: 1 });
    await device.pull(10);
    await hearAll();
    await device.write('b', 'put', { value: 2 });
    await device.push(() => 'applied', true);
    // It has not heard of the write.
    told.length = 0;
    device.server.loseHistory();
    await device.pull(10);
    meanwhile(tab, async () => {
      await device.local.rebuild();
      await device.pull(10);
    });
    await hearAll();
    expect(seen()).toEqual(expect.arrayContaining([{ value: 1 }, { value: 2 }]));
  });
});

it('forgets what a resync has not brought again', async () => {
  const { device, tab, seen, hearAll } = await twoTabs();
  device.server.changeItself('a', { value: 'a' });
  device.server.changeItself('b', { value: 'b' });
  await device.pull(10);
  await hearAll();
  await tab.load('note');
  device.server.changeItself('a', null);
  device.server.loseHistory();
  await device.pull(10);
  await hearAll();
  expect(seen()).toEqual([{ value: 'b' }]);
});
