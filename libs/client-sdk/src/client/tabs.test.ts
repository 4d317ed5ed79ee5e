/** Several clients of one store: what each writes, sees, and takes over. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { failure } from '../net/failure.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import { quiet } from './testing/hand-tab.ts';
import { type Opened, type World, makeWorld, open, openTwo, pass, seen } from './testing/world.ts';

let world: World;
let one: Opened;
let other: Opened;
beforeEach(async () => {
  ({ world, one, other } = await openTwo());
});

describe('two tabs', () => {
  it('show what each other writes, and what one of them pulls', async () => {
    other.client.start();
    await one.notes.put('a', { value: 1 });
    const write = await other.notes.put('b', { value: 2 });
    world.transport.server.changeItself('c', { value: 3 });
    expect(await write.wait('seen')).toMatchObject({ status: 'applied' });
    await quiet();
    for (const tab of [one, other]) expect(seen(tab)).toEqual({ a: 1, b: 2, c: 3 });
    const { applied } = world.transport.server;
    expect([applied.length, new Set(applied).size]).toEqual([2, 2]);
  });

  it('have one status, whoever is asked to start and to stop', async () => {
    other.client.start();
    await quiet();
    expect([one.client.status.state, other.client.status.state]).toEqual(['live', 'live']);
    expect(other.client.status.scopes).toEqual(one.client.status.scopes);
    one.client.forceOffline();
    await quiet();
    expect(other.client.status).toMatchObject({ state: 'offline', reason: 'forced' });
    other.client.forceOffline(false);
    await quiet();
    expect(one.client.status.state).toBe('live');
    other.client.stop();
    await quiet();
    expect([one.client.status.state, other.client.status.state]).toEqual(['stopped', 'stopped']);
  });

  it('are not stopped by one that closes, and the next one takes over at once', async () => {
    one.client.start();
    await quiet();
    await one.client.close();
    await quiet();
    expect(other.client.status.state).toBe('live');
    await (await other.notes.put('a', { value: 1 })).wait('seen');
    expect(world.transport.server.data).toEqual(new Map([['a', { value: 1 }]]));
  });

  it('keep what the app has asked for when the leader is gone', async () => {
    other.client.start();
    other.client.forceOffline();
    await quiet();
    one.tab.kill();
    await quiet();
    expect(other.client.status).toMatchObject({ state: 'offline', reason: 'forced' });
  });

  it('tell each other what has become of outcomes', async () => {
    world.transport.change = ({ path }, body) =>
      path.endsWith('push') ? refusing(body as { outcomes: object[] }) : body;
    one.client.start();
    let told = 0;
    other.client.onOutcomes(() => (told += 1));
    const write = await other.notes.put('a', { value: 1 });
    await expect(write.wait('applied')).rejects.toMatchObject({ code: 'not_applied' });
    await quiet();
    expect([told > 0, (await other.client.outcomes()).length]).toEqual([true, 1]);
    told = 0;
    await one.client.dismiss(write.mutationId);
    await quiet();
    expect([told > 0, (await other.client.outcomes()).length]).toEqual([true, 0]);
  });
});

function refusing(body: { outcomes: object[] }) {
  return { ...body, outcomes: body.outcomes.map((each) => ({ ...each, status: 'rejected', code: 'no' })) };
}

describe('a leader that is frozen', () => {
  it('is replaced, and follows when it thaws', async () => {
    one.client.start();
    await quiet();
    one.tab.freeze();
    const write = await other.notes.put('a', { value: 1 });
    await pass(world.clock, 20_000);
    expect((await write.wait('seen'))?.status).toBe('applied');
    one.tab.thaw();
    await pass(world.clock, 20_000);
    await (await one.notes.put('b', { value: 2 })).wait('seen');
    await quiet();
    for (const tab of [one, other])
      expect([seen(tab), tab.client.status.state]).toEqual([{ a: 1, b: 2 }, 'live']);
    // It has its turn again.
    await other.client.close();
    await quiet();
    await (await one.notes.put('c', { value: 3 })).wait('seen');
  });

  it('stores nothing of an answer that comes when it thaws', async () => {
    world.transport.change = ({ path }, body) => (path.endsWith('pull') ? null : body);
    one.client.start();
    await quiet();
    one.tab.freeze();
    world.transport.server.changeItself('a', { value: 'old' });
    world.transport.change = (_call, body) => body;
    world.transport.news();
    await pass(world.clock, 20_000);
    world.transport.server.changeItself('a', { value: 'new' });
    world.transport.news();
    one.tab.thaw();
    await pass(world.clock, 40_000);
    for (const tab of [one, other]) expect(seen(tab)).toEqual({ a: 'new' });
  });
});

describe('a device that is revoked', () => {
  it('is empty in all tabs, and stores nothing in any', async () => {
    one.client.start();
    await (await other.notes.put('a', { value: 1 })).wait('seen');
    world.transport.fail = () => failure('revoked', 'device_revoked');
    const write = await other.notes.put('b', { value: 2 });
    await expect(write.wait('applied')).rejects.toMatchObject({ outcome: { code: 'device_revoked' } });
    await quiet();
    for (const tab of [one, other]) {
      expect([seen(tab), tab.client.status.state, tab.client.status.pending]).toEqual([{}, 'revoked', 0]);
      await expect(tab.notes.put('c', { value: 3 })).rejects.toMatchObject({ code: 'device_revoked' });
    }
    world.transport.fail = () => null;
    other.client.start();
    await quiet();
    for (const tab of [one, other]) expect(seen(tab)).toEqual({ a: 1 });
    await (await other.notes.put('c', { value: 3 })).wait('seen');
  });
});

describe('a store that the browser has cleared', () => {
  it('has the writes of all tabs again, in whichever it is noticed', async () => {
    await one.notes.put('a', { value: 1 });
    await other.notes.put('b', { value: 2 });
    await new MemoryStore(world.disk).clear();
    await other.notes.put('c', { value: 3 });
    await one.notes.put('d', { value: 4 });
    await quiet();
    for (const tab of [one, other]) expect(seen(tab)).toEqual({ a: 1, b: 2, c: 3, d: 4 });
    one.client.start();
    await pass(world.clock, 60_000);
    expect(world.transport.server.data.size).toBe(4);
    for (const tab of [one, other]) expect(tab.client.status.pending).toBe(0);
  });

  it('has them also where another app start was the first to find it empty', async () => {
    await one.notes.put('a', { value: 1 });
    other.tab.kill();
    one.tab.freeze();
    await new MemoryStore(world.disk).clear();
    const third = await open(world);
    await third.notes.put('b', { value: 2 });
    one.tab.thaw();
    await one.notes.put('c', { value: 3 });
    await quiet();
    for (const tab of [one, third]) expect(seen(tab)).toEqual({ a: 1, b: 2, c: 3 });
    one.client.start();
    await pass(world.clock, 60_000);
    expect(world.transport.server.data.size).toBe(3);
  });
});

it('a message of another version of the app says that something has changed', async () => {
  const stranger = world.hub.open().join('sync-client ["t","u","dev"]', {
    heard: () => undefined,
    granted: () => undefined,
    robbed: () => undefined,
    returned: () => undefined,
  });
  const row = { scope: SCOPE, entityType: 'note', entityId: 'x', generation: 1, shown: null };
  const delta = {
    entityType: 'note',
    entityId: 'x',
    op: 'put',
    data: { value: 9 },
    clock: {},
    schemaVersion: 1,
  };
  const scope = await new MemoryStore(world.disk).list('scope', '');
  expect(scope).toEqual([]);
  one.client.start();
  await quiet();
  one.client.stop();
  await quiet();
  const store = new MemoryStore(world.disk);
  const [led = 0] = await store.counters(['led']);
  const key = `${SCOPE}\0note\0x\0`;
  await store.commit({
    puts: [{ table: 'entity', key, value: { ...row, delta: { ...delta, committedAt: '' } } }],
    counters: { led: led + 1 },
  });
  expect(seen(other)).toEqual({});
  stranger.post({ version: 2, kind: 'stored in another way' });
  await quiet();
  expect(seen(other)).toEqual({ x: 9 });
});

const which = fc.nat(2);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      which,
      entityId: fc.constantFrom('a', 'b', 'c'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 500, 6_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('freeze' as const, 'thaw' as const, 'kill' as const), which }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('others' as const), entityId: fc.constantFrom('a', 'd') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lose_history' as const, 'clear' as const) }) },
);
type HistoryStep = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Three tabs of which any may end, or stand still, at any moment. */
class ThreeTabs {
  readonly world = makeWorld();
  readonly tabs: (Opened | null)[] = [null, null, null];
  readonly answered: string[] = [];
  values = 0;
  readonly counts = { kills: 0, clears: 0 };

  async open(): Promise<void> {
    for (const at of [0, 1, 2]) await this.#tab(at);
  }

  async perform(what: HistoryStep): Promise<void> {
    const { transport, clock, disk } = this.world;
    switch (what.do) {
      case 'write':
        this.#write(await this.#tab(what.which), what.entityId);
        return;
      case 'wait':
        return what.ms === 0 ? quiet(3) : pass(clock, what.ms);
      case 'freeze': {
        (await this.#tab(what.which)).tab.freeze();
        return;
      }
      case 'thaw':
        return this.tabs[what.which]?.tab.thaw();
      case 'kill':
        this.counts.kills += this.tabs[what.which] ? 1 : 0;
        this.tabs[what.which]?.tab.kill();
        this.tabs[what.which] = null;
        return;
      case 'close': {
        const tab = this.tabs[what.which];
        tab?.tab.thaw();
        await tab?.client.close();
        this.tabs[what.which] = null;
        return;
      }
      case 'others':
        transport.server.changeItself(what.entityId, { value: `theirs ${(this.values += 1)}` });
        {
          transport.news();
          return;
        }
      case 'lose_history': {
        transport.server.loseHistory();
        return;
      }
      case 'clear':
        // Only what some tab has in memory can be stored again.
        if (this.tabs.every((tab) => tab && !tab.tab.isFrozen)) {
          // Each has read what the others have stored by then.
          await quiet(100);
          this.counts.clears += 1;
          await new MemoryStore(disk).clear();
        }
    }
  }

  async #tab(at: number): Promise<Opened> {
    const known = this.tabs[at];
    if (known) return known;
    const opened = await open(this.world);
    opened.client.start();
    this.tabs[at] = opened;
    return opened;
  }

  #write({ notes }: Opened, entityId: string): void {
    const value = `ours ${(this.values += 1)}`;
    void notes.put(entityId, { value }).then(
      ({ mutationId }) => this.answered.push(mutationId),
      () => undefined,
    );
  }

  /** Everything goes well from now on. */
  async settle(): Promise<void> {
    await this.open();
    for (const opened of this.tabs) opened?.tab.thaw();
    for (let round = 0; round < 8; round += 1) {
      // Pulls that wait are answered, as a server does it after a while.
      await this.perform({ do: 'others', entityId: 'd' });
      await pass(this.world.clock, 20_000);
    }
  }
}

it('whatever happens to a tab, no write is lost or applied twice, and all see the same', async () => {
  const counts = { kills: 0, clears: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30 }), async (history) => {
      const three = new ThreeTabs();
      await three.open();
      for (const what of history) await three.perform(what);
      await three.settle();
      counts.kills += three.counts.kills;
      counts.clears += three.counts.clears;
      const { server } = three.world.transport;
      expect(new Set(server.applied).size).toBe(server.applied.length);
      const applied = new Set(server.applied);
      expect(three.answered.filter((mutationId) => !applied.has(mutationId))).toEqual([]);
      const expected = Object.fromEntries(
        [...server.data].map(([id, data]) => [id, (data as { value: unknown }).value]),
      );
      const stored = await open(three.world);
      for (const tab of [...three.tabs, stored]) {
        if (!tab) throw new Error('All tabs are open by now');
        expect(seen(tab)).toEqual(expected);
        expect([tab.client.status.pending, tab.client.status.state]).toEqual([0, 'live']);
      }
    }),
    { numRuns: 60 },
  );
  expect(counts.kills).toBeGreaterThan(20);
  expect(counts.clears).toBeGreaterThan(5);
});
