/** Outcomes that come where nobody waits for them any more, or not yet. */
import { describe, expect, it } from '@jest/globals';
import type { Outcome, PullResponse } from '@sync/protocol';
import { randomUUID } from 'node:crypto';
import { CrashingDevice, MUCH_LATER, NOW, SCOPE } from './testing/crashing-device.ts';
import { ackBody } from './acks.ts';
import { storePull, storePush } from './store-answers.ts';

const NOTHING: PullResponse = { serverTime: NOW, scopes: [], revoked: [], outcomes: [], directives: [] };

async function started(): Promise<CrashingDevice> {
  const device = new CrashingDevice();
  await device.start();
  return device;
}

describe('of a scope that was taken away', () => {
  async function withWrite(): Promise<{ device: CrashingDevice; outcome: Outcome }> {
    const device = await started();
    device.server.changeItself('a', { value: 0 });
    await device.pull(10);
    await device.write('a', 'put', { value: 1 });
    const [mutationId = ''] = device.answered;
    await storePull(device.local, [], { ...NOTHING, revoked: [SCOPE] }, NOW);
    return { device, outcome: { mutationId, status: 'applied', clock: { 'd:dev': 1 } } };
  }

  it.each([
    [false, MUCH_LATER],
    [true, MUCH_LATER],
    [true, '2025-01-01T00:00:00.000Z'],
  ])('one that stands lets its write go, the receipt taken: %s, at %s', async (isTaken, nowIso) => {
    const { device, outcome } = await withWrite();
    if (isTaken) await device.ack();
    await storePull(device.local, [], { ...NOTHING, outcomes: [outcome] }, NOW);
    await device.ack();
    await storePull(device.local, [], NOTHING, nowIso);
    expect([[...device.local.mirror.outbox.all()], device.seen.size]).toEqual([[], 0]);
    await device.start();
    expect([[...device.local.mirror.outbox.all()], device.seen.size]).toEqual([[], 0]);
  });

  it('one that has lost shows nothing of it', async () => {
    const { device, outcome } = await withWrite();
    const fields = { entityType: 'note', entityId: 'a', schemaVersion: 1, committedAt: NOW };
    const current = { ...fields, op: 'put' as const, clock: { 's:owner': 9 }, data: { value: 9 } };
    const lost: Outcome = { ...outcome, status: 'rejected', code: 'scope_not_held', current };
    await storePull(device.local, [], { ...NOTHING, outcomes: [lost] }, NOW);
    expect([device.seen.size, await device.store.list('entity', '')]).toEqual([0, []]);
  });
});

it('of an entity that is gone before the first pull leaves nothing of it on the disk', async () => {
  const device = await started();
  device.server.changeItself('a', { value: 'theirs' });
  await device.write('a', 'put', { value: 'mine' });
  await device.push(() => 'rejected');
  device.server.changeItself('a', null);
  device.server.loseHistory();
  await device.settle();
  expect(device.seen.size).toBe(0);
  await device.start();
  expect(device.seen.size).toBe(0);
});

describe('of a write that the device does not know', () => {
  const lost = (mutationId: string): Outcome => ({ mutationId, status: 'rejected', code: 'data_invalid' });

  it('is kept for the app before it is acked', async () => {
    const device = await started();
    const mutationId = randomUUID();
    const told: boolean[] = [];
    device.local.mirror.listen(({ hasOutcomes }) => told.push(hasOutcomes));
    await storePush(device.local, { serverTime: NOW, outcomes: [lost(mutationId)] }, NOW);
    expect(told).toEqual([true]);
    expect(ackBody(device.local)?.outcomes).toEqual([mutationId]);
    const [row] = await device.store.list('outcome', '');
    expect(row?.value).toEqual({ outcome: lost(mutationId), mutation: null, at: NOW });
  });

  it('is not shown again where it was known, and the app has dealt with it', async () => {
    const device = await started();
    await device.write('a', 'put', { value: 1 });
    const [mutationId = ''] = device.answered;
    await device.push(() => 'rejected');
    await device.ack();
    const [row] = await device.store.list('outcome', '');
    await device.store.commit({ deletes: [{ table: 'outcome', key: row?.key ?? '' }] });
    await storePull(device.local, [], { ...NOTHING, outcomes: [lost(mutationId)] }, NOW);
    expect(await device.store.list('outcome', '')).toEqual([]);
  });
});

describe('what an outcome shows while a full resync is on its way', () => {
  /** The pages of the resync were read before somebody else wrote `b`, of which the outcome tells. */
  async function shownInResync(): Promise<CrashingDevice> {
    const device = await started();
    device.server.changeItself('a', { value: 'a' });
    await device.pull(10);
    device.server.loseHistory();
    await device.pull(10, NOW, async () => {
      device.server.changeItself('b', { value: 'theirs' });
      await device.write('b', 'put', { value: 'mine' });
      await device.push(() => 'rejected');
    });
    return device;
  }
  const values = (device: CrashingDevice): unknown =>
    [...device.seen].map(([id, data]) => [id, (data as { value: unknown }).value]).sort();
  const BOTH = [
    ['a', 'a'],
    ['b', 'theirs'],
  ];

  it('stays to be seen at the end of the resync, also after a restart and for another tab', async () => {
    const device = await shownInResync();
    expect(values(device)).toEqual(BOTH);
    const tab = new CrashingDevice(device.server, 'dev', device.disk);
    await tab.start();
    expect(values(tab)).toEqual(BOTH);
    await tab.pull(10);
    await tab.pull(10, MUCH_LATER);
    expect(values(tab)).toEqual(BOTH);
    const row = tab.local.mirror.scopes.get(SCOPE);
    expect([row?.digest, row?.keptSince]).toEqual([row?.serverDigest, null]);
  });

  it('goes with the next resync where it was deleted since', async () => {
    const device = await shownInResync();
    expect(values(device)).toEqual(BOTH);
    device.server.changeItself('b', null);
    device.server.loseHistory();
    await device.pull(10);
    expect(values(device)).toEqual([['a', 'a']]);
  });

  it.each([true, false])('goes after a while where no delta comes of it; read: %s', async (isLoaded) => {
    const device = await started();
    device.server.changeItself('a', { value: 'a' });
    await device.pull(10);
    device.server.changeItself('b', { value: 'theirs' });
    await device.write('b', 'put', { value: 'mine' });
    await device.push(() => 'rejected');
    device.server.changeItself('b', null);
    device.server.loseHistory();
    device.isLoaded = isLoaded;
    await device.start();
    await device.pull(10);
    const keys = async (): Promise<number> => (await device.store.list('entity', '')).length;
    expect(await keys()).toBe(1);
    await device.pull(10, MUCH_LATER);
    expect(await keys()).toBe(0);
    await device.local.load('note');
    expect(values(device)).toEqual([['a', 'a']]);
  });
});
