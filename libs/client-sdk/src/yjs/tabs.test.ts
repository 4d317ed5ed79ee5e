/** A document that is open in several tabs of one device, of which any may end or stand still. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import { quiet } from '../client/testing/hand-tab.ts';
import { type Opened, type World, makeWorld, open, pass } from '../client/testing/world.ts';
import { HandClock } from '../clock/hand-clock.ts';
import { CrashingDevice } from '../local/testing/crashing-device.ts';
import { LocalState } from '../local/local-state.ts';
import { takeBatch } from '../local/take-batch.ts';
import { fromBase64 } from '../net/base64.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import type { TableName } from '../storage/store.ts';
import { type OpenDocument, openDocument } from './index.ts';
import { type TypingDevice, typing } from './testing/typing-device.ts';

const ALL = { mutations: 500, bytes: 1_000_000 };

interface TypingTab extends Opened {
  readonly document: OpenDocument;
  /** Typed since the last flush began. */
  readonly typed: number[];
}

const numbersOf = ({ document }: TypingTab): number[] => document.doc.getArray<number>('body').toArray();

/** Three tabs that type numbers, each once, into document `a`. */
class Desk {
  readonly world: World = makeWorld();
  readonly tabs: (TypingTab | null)[] = [null, null, null];
  /** Numbers that the app was told to be stored. */
  readonly stored = new Set<number>();
  flushes = 0;
  kills = 0;
  #typed = 0;

  async start(): Promise<void> {
    this.world.transport.server.changeItself('a', { epoch: 1 });
    for (const at of this.tabs.keys()) await this.tab(at);
    await this.#hear();
  }

  async tab(at: number): Promise<TypingTab> {
    const known = this.tabs[at];
    if (known) return known;
    const opened = await open(this.world);
    opened.client.start();
    // What is typed is stored when a test says so.
    const document = openDocument(opened.notes, 'a', { clock: new HandClock() });
    await document.whenLoaded;
    const tab = { ...opened, document, typed: [] };
    this.tabs[at] = tab;
    return tab;
  }

  type(tab: TypingTab, at: number): void {
    const body = tab.document.doc.getArray<number>('body');
    this.#typed += 1;
    body.insert(at % (body.length + 1), [this.#typed]);
    if (tab.document.status.state === 'open') tab.typed.push(this.#typed);
  }

  /** @param end what stores it: `flush` unless given */
  async flush(tab: TypingTab, end: () => Promise<void> = () => tab.document.flush()): Promise<void> {
    const typed = tab.typed.splice(0);
    await end().then(
      () => {
        this.flushes += typed.length > 0 ? 1 : 0;
        for (const number of typed) this.stored.add(number);
      },
      () => undefined,
    );
  }

  kill(at: number): void {
    this.kills += this.tabs[at] ? 1 : 0;
    this.tabs[at]?.tab.kill();
    this.tabs[at] = null;
  }

  /** @param at modulo how many rows there are */
  damage(table: TableName, at: number): void {
    const rows = this.world.disk.tables.get(table);
    const keys = [...(rows?.keys() ?? [])].sort();
    const key = keys[at % keys.length];
    if (key !== undefined) rows?.set(key, 'no JSON');
  }

  /** Pulls that wait are answered, as a server does it after a while. */
  async #hear(): Promise<void> {
    this.world.transport.server.changeItself('d', { value: (this.#typed += 1) });
    this.world.transport.news();
    await pass(this.world.clock, 20_000);
  }

  /** Everything goes well from now on. */
  async settle(): Promise<void> {
    for (const tab of this.tabs) tab?.tab.thaw();
    for (const at of this.tabs.keys()) (await this.tab(at)).client.forceOffline(false);
    await quiet();
    for (const tab of this.tabs) if (tab) await this.flush(tab);
    for (let round = 0; round < 8; round += 1) await this.#hear();
  }

  get server() {
    return this.world.transport.server;
  }

  /** All show what the server has, which has all that was stored, and was sent nothing twice. */
  expectAgreement(): void {
    const numbers = this.server.documentOf('a')?.getArray<number>('body').toArray() ?? [];
    expect([...this.stored].filter((number) => !numbers.includes(number))).toEqual([]);
    for (const tab of this.tabs) {
      if (!tab) throw new Error('All tabs are open by now');
      expect(numbersOf(tab)).toEqual(numbers);
      expect(tab.document.status).toEqual({ state: 'open', isPending: false, problem: null });
      expect(tab.client.status.pending).toBe(0);
    }
    const { applied, changed, refused } = this.server;
    expect([[...changed], [...refused], applied.length]).toEqual([[], [], new Set(applied).size]);
  }
}

it('two tabs type without a network, the leader dies, and nothing of either is lost', async () => {
  const desk = new Desk();
  await desk.start();
  const [leader, other] = [await desk.tab(0), await desk.tab(1)];
  leader.client.forceOffline();
  await quiet();
  for (const tab of [leader, other, leader, other]) {
    desk.type(tab, 0);
    await desk.flush(tab);
    await quiet();
  }
  expect(numbersOf(leader)).toEqual(numbersOf(other));
  expect(numbersOf(other)).toHaveLength(4);
  desk.kill(0);
  desk.type(other, 0);
  await desk.settle();
  desk.expectAgreement();
  expect(desk.stored.size).toBe(5);
});

describe('an increment stays as it is', () => {
  it('where a later leader may have sent it, also after this tab leads again', async () => {
    const one = await typing();
    one.type(0, 1);
    await one.flush();
    const other = new CrashingDevice(one.device.server, 'one', one.device.disk);
    await other.start();
    const sent = await takeBatch(other.local, ALL);
    await one.device.local.lead();
    one.type(1, 2);
    await one.flush();
    expect([...one.device.local.mirror.outbox.queued()].map(({ mutation }) => mutation)).toEqual([
      ...sent,
      expect.objectContaining({ sequence: 2 }),
    ]);
  });

  it('while another tab leads', async () => {
    const one = await typing();
    one.type(0, 1);
    await one.flush();
    await new CrashingDevice(one.device.server, 'one', one.device.disk).start();
    one.type(1, 2);
    await one.flush();
    expect(one.device.local.mirror.outbox.queuedCount).toBe(2);
  });

  it('and is not sent by who does not lead any more, and may have read it before it is changed', async () => {
    const one = await typing();
    const stale = new CrashingDevice(one.device.server, 'one', one.device.disk);
    await stale.start();
    await one.device.local.lead();
    one.type(0, 1);
    await one.flush();
    expect(await stale.local.lookForWrites()).toBe(true);
    await expect(takeBatch(stale.local, ALL)).rejects.toMatchObject({ name: 'NotLeadingError' });
    one.type(1, 2);
    await one.flush();
    expect(await takeBatch(one.device.local, ALL)).toHaveLength(1);
  });
});

describe('a tab that has missed a joined increment, and stores a damaged store anew', () => {
  /** @param beforeCommit called before the first commit of the tab that has missed it */
  async function rescued(one: TypingDevice, beforeCommit: () => Promise<void>): Promise<number[]> {
    const { disk, identity } = one.device;
    const store = new MemoryStore(disk);
    const other = new LocalState(store, identity);
    await other.open();
    const commit = store.commit.bind(store);
    store.commit = async (change) => {
      store.commit = commit;
      await beforeCommit();
      return commit(change);
    };
    one.type(1, 2);
    await one.flush();
    for (const key of disk.tables.get('scope')?.keys() ?? []) disk.tables.get('scope')?.set(key, 'no JSON');
    await other.catchUp();
    await one.device.start();
    const doc = new Y.Doc();
    for (const { mutation } of one.device.local.mirror.outbox.queued()) {
      Y.applyUpdate(doc, fromBase64(mutation.update ?? ''));
    }
    return doc.getArray<number>('body').toArray();
  }

  it.each([
    ['before it reads', false],
    ['while it reads', true],
  ])('keeps it: %s', async (_when, isMeanwhile) => {
    const one = await typing();
    one.type(0, 1);
    await one.flush();
    const typeMore = async (): Promise<void> => {
      one.type(2, 3);
      await one.flush();
    };
    const kept = await rescued(one, isMeanwhile ? typeMore : async () => undefined);
    expect(kept).toEqual(isMeanwhile ? [1, 2, 3] : [1, 2]);
  });
});

describe('a joined increment that is damaged, of which another tab has an older form', () => {
  /** Which that tab has stored anew by now. */
  async function damaged(): Promise<{ one: TypingDevice; other: LocalState }> {
    const one = await typing();
    one.type(0, 1);
    await one.flush();
    const { disk, identity } = one.device;
    const other = new LocalState(new MemoryStore(disk), identity);
    await other.open();
    one.type(1, 2);
    await one.flush();
    expect(one.device.local.mirror.outbox.queuedCount).toBe(1);
    for (const key of disk.tables.get('outbox')?.keys() ?? []) disk.tables.get('outbox')?.set(key, 'no JSON');
    await other.catchUp();
    return { one, other };
  }

  it('is stored once more by the tab in which it was typed', async () => {
    const { one, other } = await damaged();
    await one.device.local.catchUp();
    await quiet();
    await one.flush();
    await other.lead();
    await other.catchUp();
    one.device.server.push(await takeBatch(other, ALL), 'd:one', () => 'applied');
    expect(one.device.server.documentOf('a')?.getArray('body').toArray()).toEqual([1, 2]);
    await one.device.local.catchUp();
    await quiet();
    expect(one.open.doc.getArray('body').toArray()).toEqual([1, 2]);
  });

  it('is counted as lost where that tab has ended', async () => {
    const { one, other } = await damaged();
    expect(other.lostWrites).toBe(1);
    await one.device.start();
    expect([one.device.local.lostWrites, one.device.local.mirror.outbox.queuedCount]).toEqual([1, 1]);
  });
});

const which = fc.nat(2);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('type' as const), which, at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flush' as const), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('go_on' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 0, 500, 6_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(...(['freeze', 'thaw', 'kill', 'close', 'online'] as const)),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('offline' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('damage' as const),
      // Of the outbox a damaged row is a lost one.
      table: fc.constantFrom(...(['scope', 'page', 'entity', 'document', 'outcome'] as const)),
      at: fc.nat(50),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resync' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A tab reads that a scope is there before it reads what is in it. */
const READ_TOO_EARLY: Step[] = [
  { do: 'go_on', which: 0 },
  { do: 'type', which: 1, at: 0 },
  { do: 'type', which: 0, at: 0 },
  { do: 'wait', ms: 500 },
  { do: 'freeze', which: 2 },
  { do: 'damage', table: 'document', at: 0 },
  { do: 'wait', ms: 0 },
  { do: 'damage', table: 'scope', at: 0 },
  { do: 'type', which: 0, at: 0 },
  { do: 'go_on', which: 0 },
];

/** The store is begun anew while an increment waits for its turn. */
const GONE_MEANWHILE: Step[] = [
  { do: 'damage', table: 'entity', at: 0 },
  { do: 'go_on', which: 1 },
  { do: 'online', which: 0 },
  { do: 'go_on', which: 0 },
  { do: 'type', which: 0, at: 0 },
  { do: 'type', which: 0, at: 0 },
  { do: 'damage', table: 'scope', at: 0 },
  { do: 'resync' },
  { do: 'type', which: 1, at: 0 },
  { do: 'type', which: 0, at: 0 },
  { do: 'freeze', which: 0 },
  { do: 'wait', ms: 0 },
];

async function perform(desk: Desk, what: Step): Promise<void> {
  if (what.do === 'wait') return what.ms === 0 ? quiet(3) : pass(desk.world.clock, what.ms);
  if (what.do === 'damage') {
    desk.damage(what.table, what.at);
    return;
  }
  if (what.do === 'resync') {
    desk.server.wantResync();
    return;
  }
  if (what.do === 'kill') {
    desk.kill(what.which);
    return;
  }
  const known = desk.tabs[what.which];
  if (what.do === 'thaw') return known?.tab.thaw();
  // A tab that stands still opens and ends nothing.
  if (desk.tabs.some((each) => each?.tab.isFrozen) && (!known || what.do === 'close')) return;
  const tab = await desk.tab(what.which);
  switch (what.do) {
    case 'type': {
      desk.type(tab, what.at);
      return;
    }
    case 'flush':
      return void desk.flush(tab);
    case 'go_on':
      for (let n = 0; n < 4; n += 1) {
        desk.type(tab, n);
        void desk.flush(tab);
        await quiet(10);
      }
      return;
    case 'freeze': {
      tab.tab.freeze();
      return;
    }
    case 'offline':
    case 'online': {
      tab.client.forceOffline(what.do === 'offline');
      return;
    }
    case 'close':
      desk.tabs[what.which] = null;
      return desk.flush(tab, () => tab.client.close());
  }
}

it('whatever happens to a tab, nothing that was stored is lost, or sent as something else', async () => {
  const counts = { kills: 0, joined: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async (history) => {
      const desk = new Desk();
      await desk.start();
      for (const what of history) await perform(desk, what);
      await desk.settle();
      desk.expectAgreement();
      counts.kills += desk.kills;
      // Of a tab that was killed there may be increments that nobody was told of.
      counts.joined += Math.max(0, desk.flushes - desk.server.applied.length);
    }),
    { numRuns: 25, examples: [[READ_TOO_EARLY], [GONE_MEANWHILE]] },
  );
  expect(counts.kills).toBeGreaterThan(3);
  expect(counts.joined).toBeGreaterThan(10);
});
