/**
 * The laws of a device over random histories, with a crash before or after any commit. The numbers are those
 * of docs/guides/sdk.md › What you can rely on.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash, randomUUID } from 'node:crypto';
import type { DeviceKey } from '../net/transport.ts';
import { nextBatch } from '../outbox/next-batch.ts';
import type { Draft } from '../outbox/make-mutation.ts';
import { sameDigest } from '../replica/digest.ts';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import { FaultyStore } from '../testing/faulty-store.ts';
import { LocalState, NotLeadingError, StorageClearedError } from './local-state.ts';
import { storePull, storePush } from './store-answers.ts';
import { ModelServer } from './testing/model-server.ts';
import { WriteQueue } from './write-queue.ts';

const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'dev' };
const SCOPE = 'user:u';
const NOW = '2026-01-01T00:00:00.000Z';
const MUCH_LATER = '2026-01-01T01:00:00.000Z';
const KEY: DeviceKey = {
  sign: async (text) => createHash('sha256').update(text).digest('base64'),
  tag: async (text) => createHash('sha256').update(text).digest('base64'),
};
const ALL = { mutations: 500, length: 1_000_000 };

/** An app that may die at any commit, on a disk that does not. */
class Device {
  readonly disk = new MemoryDisk();
  readonly server = new ModelServer(SCOPE);
  store = new FaultyStore(new MemoryStore(this.disk));
  local = new LocalState(this.store, IDENTITY);
  writes = new WriteQueue(this.local, KEY);
  /** Writes that the app was told to be stored, in their order. */
  readonly answered: string[] = [];
  crashes = 0;

  async start(): Promise<void> {
    this.store = new FaultyStore(new MemoryStore(this.disk));
    this.local = new LocalState(this.store, IDENTITY);
    this.writes = new WriteQueue(this.local, KEY);
    await this.local.open();
    await this.local.load('note');
  }

  /** Does it, or dies at the named commit of it and starts again. */
  async survive(work: () => Promise<unknown>, crash: Crash | null): Promise<void> {
    if (crash) this.store.crashAt(crash.commit, crash.when);
    const { crashed } = this.store;
    const hasDied = await Promise.race([work().then(() => false), crashed.then(() => true)]);
    if (!hasDied && crash) this.store.crashAt(Infinity, 'before');
    if (!hasDied) return;
    this.crashes += 1;
    await this.start();
  }

  async write(entityId: string, op: Draft['op'], data?: Record<string, unknown>): Promise<void> {
    const mutationId = randomUUID();
    const fields = { mutationId, scope: SCOPE, entityType: 'note', entityId, op, occurredAt: NOW };
    await this.writes.write({ ...fields, ...(data ? { data } : {}), schemaVersion: 1 });
    this.answered.push(mutationId);
  }

  /** @param isLost the answer does not arrive */
  async push(decide: Parameters<ModelServer['push']>[2], isLost = false): Promise<void> {
    const mutations = nextBatch(this.local.mirror.entries(), ALL);
    const answer = this.server.push(mutations, 'd:dev', decide);
    if (!isLost) await storePush(this.local, answer, NOW);
  }

  async pull(limit: number, nowIso = NOW): Promise<boolean> {
    const asked = this.local.nextScopes() ?? [{ scope: SCOPE, cursor: null }];
    const answer = this.server.pull(asked[0]?.cursor ?? null, limit);
    const { isComplete } = await storePull(this.local, asked, answer, nowIso);
    return !isComplete;
  }

  async ack(isLost = false): Promise<void> {
    const body = this.local.ackBody();
    if (!body) return;
    this.server.ack(body.outcomes ?? []);
    if (!isLost) await this.local.storeAck(body);
  }

  get seen(): Map<string, unknown> {
    return new Map(this.local.mirror.list('note').map(({ id, data }) => [id, data]));
  }

  /** Everything goes well from now on. */
  async settle(): Promise<void> {
    for (let round = 0; round < 4; round += 1) {
      await this.push(() => 'applied');
      while (await this.pull(3, round < 2 ? NOW : MUCH_LATER));
      await this.ack();
    }
  }
}

interface Crash {
  readonly commit: number;
  readonly when: 'before' | 'after';
}

const entityId = fc.constantFrom('a', 'b', 'c');
const crash = fc.option(
  fc.record({
    commit: fc.integer({ min: 1, max: 3 }),
    when: fc.constantFrom('before' as const, 'after' as const),
  }),
  { freq: 3 },
);
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), entityId, value: fc.nat(99), crash }),
  fc.record({ do: fc.constant('patch' as const), entityId, value: fc.nat(99), crash }),
  fc.record({ do: fc.constant('delete' as const), entityId, crash }),
  fc.record({ do: fc.constant('push' as const), isLost: fc.boolean(), refuse: fc.nat(3), crash }),
  fc.record({ do: fc.constant('pull' as const), limit: fc.integer({ min: 1, max: 4 }), crash }),
  fc.record({ do: fc.constant('ack' as const), isLost: fc.boolean(), crash }),
  fc.record({ do: fc.constant('others' as const), entityId, value: fc.option(fc.nat(99)) }),
  fc.record({ do: fc.constant('lose_history' as const) }),
);
type HistoryStep = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function perform(device: Device, what: HistoryStep): Promise<void> {
  switch (what.do) {
    case 'put':
      return device.survive(() => device.write(what.entityId, 'put', { value: what.value }), what.crash);
    case 'patch':
      return device.survive(() => device.write(what.entityId, 'patch', { more: what.value }), what.crash);
    case 'delete':
      return device.survive(() => device.write(what.entityId, 'delete'), what.crash);
    case 'push': {
      const decisions = ['applied', 'rejected', 'accepted', 'applied'] as const;
      const decide = () => decisions[what.refuse] ?? 'applied';
      return device.survive(() => device.push(decide, what.isLost), what.crash);
    }
    case 'pull':
      return device.survive(() => device.pull(what.limit), what.crash);
    case 'ack':
      return device.survive(() => device.ack(what.isLost), what.crash);
    case 'others':
      device.server.changeItself(what.entityId, what.value === null ? null : { value: what.value });
      return;
    case 'lose_history':
      device.server.loseHistory();
  }
}

describe('after any history', () => {
  it('loses nothing that was answered, applies nothing twice, and has what the server has', async () => {
    let crashes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (history) => {
        const device = new Device();
        await device.start();
        for (const what of history) await perform(device, what);
        // What was accepted has its outcome by now.
        for (const { mutation, state } of device.local.mirror.entries()) {
          if (state === 'accepted') device.server.push([mutation], 'd:dev', () => 'applied');
        }
        await device.settle();
        crashes += device.crashes;
        const { applied, refused } = device.server;
        expect(new Set(applied).size).toBe(applied.length);
        const decided = new Set([...applied, ...refused]);
        expect(device.answered.filter((mutationId) => !decided.has(mutationId))).toEqual([]);
        expect(device.seen).toEqual(device.server.data);
        const row = device.local.mirror.scopes.get(SCOPE);
        expect(row && sameDigest(row.digest, device.server.digest)).toBe(true);
        expect([...device.local.mirror.entries()]).toEqual([]);
        expect(device.server.unacked).toBe(0);
        // What is in memory is what is stored.
        const before = { seen: device.seen, scopes: new Map(device.local.mirror.scopes) };
        await device.start();
        expect({ seen: device.seen, scopes: device.local.mirror.scopes }).toEqual(before);
      }),
      { numRuns: 300 },
    );
    expect(crashes).toBeGreaterThan(100);
  });

  it('shows what its person wrote last, where nobody else writes and nothing is refused', async () => {
    const mine = step.filter(({ do: what }) => what !== 'others');
    await fc.assert(
      fc.asyncProperty(fc.array(mine, { maxLength: 40 }), async (history) => {
        const device = new Device();
        await device.start();
        const written = new Map<string, Record<string, unknown>>();
        const check = (): void => expect(device.seen).toEqual(written);
        for (const what of history) {
          const calm = { ...what, crash: null, ...(what.do === 'push' ? { refuse: 0 } : {}) } as HistoryStep;
          await perform(device, calm);
          if (calm.do === 'put') written.set(calm.entityId, { value: calm.value });
          const known = written.get('entityId' in calm ? calm.entityId : '');
          if (calm.do === 'patch' && known) written.set(calm.entityId, { ...known, more: calm.value });
          if (calm.do === 'delete') written.delete(calm.entityId);
          check();
        }
      }),
      { numRuns: 300 },
    );
  });
});

it('numbers writes of two tabs apart', async () => {
  const one = new Device();
  await one.start();
  const tab = new LocalState(new MemoryStore(one.disk), IDENTITY);
  await tab.open();
  await tab.load('note');
  const other = new WriteQueue(tab, KEY);
  const ids = Array.from({ length: 40 }, () => randomUUID());
  const entries = await Promise.all(
    ids.map((mutationId, at) => {
      const fields = { mutationId, scope: SCOPE, entityType: 'note', entityId: 'a', occurredAt: NOW };
      const draft: Draft = { ...fields, op: 'put', data: { at }, schemaVersion: 1 };
      return at % 2 === 0 ? one.writes.write(draft) : other.write(draft);
    }),
  );
  expect(new Set(entries.map(({ mutation }) => mutation.sequence)).size).toBe(40);
  expect(new Set(entries.map(({ mutation }) => mutation.baseClock?.['d:dev'] ?? 0)).size).toBe(40);
  await one.start();
  expect([...one.local.mirror.entries()]).toHaveLength(40);
});

it('lets nothing be stored by a tab that does not lead any more', async () => {
  const device = new Device();
  await device.start();
  device.server.changeItself('a', { value: 1 });
  const later = new LocalState(new MemoryStore(device.disk), IDENTITY);
  await later.open();
  await expect(device.pull(10)).rejects.toThrow(NotLeadingError);
  expect([device.seen.size, later.mirror.scopes.size]).toEqual([0, 0]);
});

it('shows what an outcome says of the entity until a pull brings as much, also after a restart', async () => {
  const device = new Device();
  await device.start();
  device.server.changeItself('a', { value: 'theirs' });
  await device.write('a', 'put', { value: 'mine' });
  await device.push(() => 'rejected');
  expect(device.seen).toEqual(new Map([['a', { value: 'theirs' }]]));
  await device.start();
  expect(device.seen).toEqual(new Map([['a', { value: 'theirs' }]]));
  device.server.changeItself('a', { value: 'theirs again' });
  await device.pull(10);
  expect(device.seen).toEqual(new Map([['a', { value: 'theirs again' }]]));
});

it('stores the outbox anew where a browser has cleared the store, and never counts lower', async () => {
  const device = new Device();
  await device.start();
  device.server.changeItself('a', { value: 1 });
  await device.pull(10);
  await device.write('b', 'put', { value: 2 });
  await new MemoryStore(device.disk).clear();
  await expect(device.pull(10)).rejects.toThrow(StorageClearedError);
  await device.write('c', 'put', { value: 3 });
  await device.start();
  const sequences = [...device.local.mirror.entries()].map(({ mutation }) => mutation.sequence);
  expect(sequences).toEqual([1, 2]);
  await device.settle();
  expect(device.seen).toEqual(device.server.data);
  expect(device.seen.size).toBe(3);
});
