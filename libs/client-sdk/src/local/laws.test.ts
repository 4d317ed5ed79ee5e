/**
 * The laws of a device over random histories, with a crash before or after any commit. The numbers are those
 * of docs/guides/build-an-app.md › What you can rely on.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import type { Draft } from '../outbox/make-mutation.ts';
import { sameDigest } from '../replica/digest.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import { StorageError } from '../storage/store.ts';
import { LocalState } from './local-state.ts';
import { NotLeadingError, StorageClearedError } from './guarded-store.ts';
import { CrashingDevice, IDENTITY, KEY, NOW, SCOPE } from './testing/crashing-device.ts';
import { WriteQueue } from './write-queue.ts';

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
  // The answer is older than the outcomes that the device has by then.
  fc.record({ do: fc.constant('pull_around_push' as const), limit: fc.integer({ min: 1, max: 4 }), crash }),
  fc.record({ do: fc.constant('ack' as const), isLost: fc.boolean(), crash }),
  fc.record({ do: fc.constant('others' as const), entityId, value: fc.option(fc.nat(99)) }),
  fc.record({ do: fc.constant('lose_history' as const) }),
  fc.record({ do: fc.constant('want_resync' as const) }),
  fc.record({ do: fc.constantFrom('revoke' as const, 'grant' as const) }),
  fc.record({ do: fc.constant('fill_disk' as const) }),
  fc.record({ do: fc.constant('rebuild' as const), crash }),
);
type HistoryStep = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What finds no room fails, and nothing else does. */
async function perform(device: CrashingDevice, what: HistoryStep): Promise<void> {
  try {
    await tryTo(device, what);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'full') throw error;
    device.fullDisks += 1;
  }
}

async function tryTo(device: CrashingDevice, what: HistoryStep): Promise<void> {
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
    case 'pull_around_push': {
      const push = () => device.push(() => 'applied');
      return device.survive(() => device.pull(what.limit, NOW, push), what.crash);
    }
    case 'ack':
      return device.survive(() => device.ack(what.isLost), what.crash);
    case 'others':
      device.server.changeItself(what.entityId, what.value === null ? null : { value: what.value });
      return;
    case 'lose_history':
      device.server.loseHistory();
      return;
    case 'want_resync':
      device.server.wantResync();
      return;
    case 'revoke':
      device.server.revoke();
      return;
    case 'grant':
      device.server.grant();
      return;
    case 'fill_disk':
      device.store.failCommits('full');
      return;
    case 'rebuild':
      return device.survive(() => device.local.rebuild(), what.crash);
  }
}

describe('after any history', () => {
  it('loses nothing that was answered, applies nothing twice, and has what the server has', async () => {
    let crashes = 0;
    let fullDisks = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (history, isLoaded) => {
        const device = new CrashingDevice();
        device.isLoaded = isLoaded;
        await device.start();
        for (const what of history) await perform(device, what);
        device.store.failCommits('full', 0);
        device.server.grant();
        // What was accepted has its outcome by now.
        for (const { mutation, state } of device.local.mirror.outbox.all()) {
          if (state === 'accepted') device.server.push([mutation], 'd:dev', () => 'applied');
        }
        await device.settle();
        await device.local.load('note');
        device.isLoaded = true;
        crashes += device.crashes;
        fullDisks += device.fullDisks;
        const { applied, refused } = device.server;
        expect(new Set(applied).size).toBe(applied.length);
        const decided = new Set([...applied, ...refused]);
        expect(device.answered.filter((mutationId) => !decided.has(mutationId))).toEqual([]);
        expect(device.seen).toEqual(device.server.data);
        const row = device.local.mirror.scopes.get(SCOPE);
        expect(row && sameDigest(row.digest, device.server.digest)).toBe(true);
        expect([...device.local.mirror.outbox.all()]).toEqual([]);
        expect(device.server.unacked).toBe(0);
        // Nothing of an earlier resync is left.
        const stored = await Promise.all(
          (['entity', 'page'] as const).map((table) => device.store.list(table, '')),
        );
        expect(stored.flat().filter(({ value }) => value['generation'] !== row?.generation)).toEqual([]);
        // What is in memory is what is stored.
        const before = { seen: device.seen, scopes: new Map(device.local.mirror.scopes) };
        await device.start();
        expect({ seen: device.seen, scopes: new Map(device.local.mirror.scopes) }).toEqual(before);
      }),
      { numRuns: 300 },
    );
    expect(crashes).toBeGreaterThan(60);
    expect(fullDisks).toBeGreaterThan(20);
  });

  it('shows what its person wrote last, where nobody else writes and nothing is refused', async () => {
    const elsewhere = new Set(['others', 'revoke', 'grant', 'fill_disk', 'rebuild']);
    const mine = step.filter(({ do: what }) => !elsewhere.has(what));
    await fc.assert(
      fc.asyncProperty(fc.array(mine, { maxLength: 40 }), async (history) => {
        const device = new CrashingDevice();
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
  const one = new CrashingDevice();
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
  expect([...one.local.mirror.outbox.all()]).toHaveLength(40);
});

it('lets nothing be stored by a tab that does not lead any more', async () => {
  const device = new CrashingDevice();
  await device.start();
  device.server.changeItself('a', { value: 1 });
  const later = new LocalState(new MemoryStore(device.disk), IDENTITY);
  await later.open();
  await later.lead();
  await expect(device.pull(10)).rejects.toThrow(NotLeadingError);
  expect([device.seen.size, later.mirror.scopes.size]).toEqual([0, 0]);
});

it('shows what an outcome says of the entity until a pull brings as much, also after a restart', async () => {
  const device = new CrashingDevice();
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
  const device = new CrashingDevice();
  await device.start();
  device.server.changeItself('a', { value: 1 });
  await device.pull(10);
  await device.write('b', 'put', { value: 2 });
  await new MemoryStore(device.disk).clear();
  await expect(device.pull(10)).rejects.toThrow(StorageClearedError);
  await device.write('c', 'put', { value: 3 });
  await device.start();
  const sequences = [...device.local.mirror.outbox.all()].map(({ mutation }) => mutation.sequence);
  expect([sequences.length, (sequences[1] ?? 0) > (sequences[0] ?? 0)]).toEqual([2, true]);
  await device.settle();
  expect(device.seen).toEqual(device.server.data);
  expect(device.seen.size).toBe(3);
});
