/** How many entries of a long outbox are looked at: those that something happens to, and not all of them. */
import { describe, expect, it } from '@jest/globals';
import { STOPPED } from '../engine/step.ts';
import { StatusReader } from '../client/status.ts';
import { type OutboxEntry, queuedEntry } from '../outbox/entry.ts';
import { takeBatch } from './take-batch.ts';
import { CrashingDevice, NOW, SCOPE } from './testing/crashing-device.ts';
import { ackBody } from './acks.ts';
import { storePull, storePush } from './store-answers.ts';

const QUEUED = 10_000;
const BATCH = 500;
/** The first and the last of something. */
const A_FEW = 5;

/** A device whose entries tell who looks at them. */
class WatchedDevice extends CrashingDevice {
  readonly #seen = new Set<number>();

  /** @param entityIdOf the n-th change */
  async queue(entityIdOf: (n: number) => string, changes: Partial<OutboxEntry> = {}): Promise<void> {
    await this.start();
    await this.store.commit({ counters: { sequence: QUEUED } });
    await storePull(this.local, [], this.server.pull(null, BATCH), NOW);
    for (let sequence = 1; sequence <= QUEUED; sequence += 1) {
      const entityId = entityIdOf(sequence);
      const fields = { mutationId: `m${sequence}`, scope: SCOPE, entityType: 'note', entityId, sequence };
      const data = { [`field${sequence % 10}`]: sequence };
      const rest = { op: 'patch' as const, data, occurredAt: NOW, schemaVersion: 1 };
      this.local.mirror.setEntry(this.#watched({ ...queuedEntry({ ...fields, ...rest }), ...changes }));
    }
    this.local.mirror.announce();
  }

  /** @returns how many of them something has looked at */
  async looked(work: () => unknown): Promise<number> {
    this.#seen.clear();
    await work();
    return this.#seen.size;
  }

  #watched(entry: OutboxEntry): OutboxEntry {
    return new Proxy(entry, {
      get: (target, name) => {
        this.#seen.add(entry.mutation.sequence);
        return Reflect.get(target, name) as unknown;
      },
    });
  }
}

const ofMany = (n: number): string => `n${n}`;
const ofOne = (): string => 'a';

describe('beside 10,000 that wait', () => {
  it.each([
    ['a write of an entity', ofMany],
    ['a write of the entity that all of them change', ofOne],
  ])('%s looks at a few', async (_what, entityIdOf) => {
    const device = new WatchedDevice();
    device.server.changeItself('a', { value: 0 });
    await device.queue(entityIdOf);
    const write = async (): Promise<void> => {
      const stored = device.write('a', 'patch', { written: true });
      expect(device.local.mirror.get('note', 'a')?.data).toMatchObject({ value: 0, written: true });
      await stored;
      expect(device.local.mirror.get('note', 'a')?.isPending).toBe(true);
    };
    expect(await device.looked(write)).toBeLessThanOrEqual(A_FEW);
    expect(await device.looked(write)).toBeLessThanOrEqual(A_FEW);
  });

  it('the status looks at a few', async () => {
    const device = new WatchedDevice();
    await device.queue(ofMany);
    const reader = new StatusReader(device.local);
    const shown = { engine: STOPPED, aheadMs: 0 };
    expect(await device.looked(() => reader.read(shown))).toBeLessThanOrEqual(A_FEW);
    expect(reader.read(shown).pending).toBe(QUEUED);
  });

  it('a push looks at its own', async () => {
    const device = new WatchedDevice();
    await device.queue(ofMany);
    const push = async (): Promise<void> => {
      const batch = await takeBatch(device.local, { mutations: BATCH, bytes: Infinity });
      const outcomes = batch.map(({ mutationId }) => ({ mutationId, status: 'applied' as const, clock: {} }));
      await storePush(device.local, { serverTime: NOW, outcomes }, NOW);
      expect(ackBody(device.local)?.outcomes?.length).toBe(BATCH);
    };
    expect(await device.looked(push)).toBeLessThanOrEqual(BATCH + A_FEW);
  });

  it('a pull that brings nothing looks at a few, however many stand and are not confirmed', async () => {
    const device = new WatchedDevice();
    await device.queue(ofMany, { state: 'stands', generation: 1, settledAt: NOW, isAcked: true });
    const [asked] = device.local.asking.nextScopes() ?? [];
    const pull = () =>
      storePull(device.local, [{ scope: SCOPE, cursor: asked?.cursor ?? null }], empty(), NOW);
    const empty = () => device.server.pull(asked?.cursor ?? null, BATCH);
    expect(await device.looked(pull)).toBeLessThanOrEqual(A_FEW);
    expect(ackBody(device.local)?.outcomes ?? []).toEqual([]);
  });
});
