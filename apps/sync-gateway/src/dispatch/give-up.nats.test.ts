import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { SyncEvent } from '@sync/protocol';
import type { Author } from '../push/outcome/settlement.ts';
import { FAILURES_BEFORE_GIVING_UP } from '../push/owners/give-up.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 700 });
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.poison = 'left out';
});

const POISON = { text: 'poison' };

describe('a push handler that throws for ever', () => {
  it('ends in a refusal that keeps the mutation for a person, and its lane goes on', async () => {
    const author = newAuthor();
    const poison = mutationOf(author, { data: { ...POISON, userId: author.userId } });
    const behind = mutationOf(author, { entityId: poison.entityId });
    const dependant = mutationOf(author, { dependsOn: [poison.mutationId] });
    const others = [mutationOf(author), mutationOf(author)];
    const outcomes = await rig.push(author, [poison, behind, dependant, ...others]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'accepted',
      'accepted',
      'accepted',
      'applied',
      'applied',
    ]);
    // The push sent it with others: nobody could tell at which of them the owner failed.
    expect(await failuresOf(author)).toBe(0);
    // Nor could anybody while what is behind it in its lane went with it.
    await failOften(author, 2);
    expect(await failuresOf(author)).toBe(0);
    await failOften(author, FAILURES_BEFORE_GIVING_UP - 1);
    expect(await failuresOf(author)).toBe(FAILURES_BEFORE_GIVING_UP - 1);
    await backdate(author);
    expect(await rig.dispatch(author)).toBe(1);
    await rig.dispatch(author);
    expect(await rig.waiting(author)).toMatchObject([
      {
        mutationId: poison.mutationId,
        status: 'rejected',
        code: 'owner_failed',
        conflictId: expect.any(String),
        current: { op: 'delete' },
      },
      { mutationId: behind.mutationId, status: 'applied' },
      { mutationId: dependant.mutationId, status: 'rejected', code: 'dependency_failed' },
      ...[1, 2].map(() => ({ status: 'applied' })),
    ]);
    expect(await detectedOf(author)).toMatchObject([
      {
        mutationId: poison.mutationId,
        status: 'open',
        draft: { decision: 'open', op: 'put', theirs: poison.data, ours: null },
      },
    ]);
  });

  it('is found among others by asking apart when it answers all of them with an error', async () => {
    const author = newAuthor();
    rig.owner.poison = 'error';
    const poison = mutationOf(author, { data: POISON });
    const other = mutationOf(author);
    expect((await rig.push(author, [poison, other])).map(({ status }) => status)).toEqual([
      'accepted',
      'accepted',
    ]);
    await failOften(author, 4);
    expect(await rig.waiting(author)).toMatchObject([{ mutationId: other.mutationId, status: 'applied' }]);
    expect(await failuresOf(author)).toBeGreaterThan(0);
  });

  it.each(['left out', 'error'] as const)(
    'is not held against what is in front of it in its lane: %s',
    async (how) => {
      const author = newAuthor();
      rig.owner.poison = how;
      const good = mutationOf(author);
      const baseClock = { [`d:${author.deviceId}`]: 1 };
      const poison = mutationOf(author, { entityId: good.entityId, op: 'patch', data: POISON, baseClock });
      await rig.push(author, [good, poison]);
      await failOften(author, 4);
      expect(await rig.waiting(author)).toMatchObject([{ mutationId: good.mutationId, status: 'applied' }]);
      expect(await failuresOf(author)).toBeGreaterThan(0);
    },
  );

  it('ends only once its entity can be shown as its device knows it', async () => {
    const author = newAuthor();
    const good = mutationOf(author, { data: { userId: author.userId, text: 'good' } });
    const baseClock = { [`d:${author.deviceId}`]: 1 };
    const poison = mutationOf(author, { entityId: good.entityId, op: 'patch', data: POISON, baseClock });
    rig.owner.projectsAtOnce = false;
    expect(await rig.push(author, [good])).toMatchObject([{ status: 'applied' }]);
    await rig.push(author, [poison]);
    await failOften(author, FAILURES_BEFORE_GIVING_UP - 1);
    await backdate(author);
    expect(await rig.dispatch(author)).toBe(0);
    await rig.owner.projectAll();
    rig.owner.projectsAtOnce = true;
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'applied' },
      { code: 'owner_failed', current: { op: 'put', data: { text: 'good' }, clock: baseClock } },
    ]);
  });

  it('is waited for while the time is not over', async () => {
    const author = newAuthor();
    await rig.push(author, [mutationOf(author, { data: POISON })]);
    await failOften(author, FAILURES_BEFORE_GIVING_UP + 5);
    expect(await rig.waiting(author)).toEqual([]);
  });
});

describe('an owner that is away', () => {
  it.each(['stopped', 'deaf'])('is never counted against a mutation: %s', async (how) => {
    const fresh = await startPushRig({ ownerTimeoutMs: 50 });
    try {
      const author = newAuthor();
      if (how === 'stopped') await fresh.owner.stop();
      else fresh.owner.mode = 'deaf';
      await fresh.push(author, [mutationOf(author)]);
      for (let attempt = 0; attempt < 8; attempt += 1) expect(await fresh.dispatch(author)).toBe(0);
      expect(await failuresOf(author, fresh)).toBe(0);
    } finally {
      await fresh.stop();
    }
  });
});

/** Dispatches so often; nothing is ended by it but what has nothing to do with the poison. */
async function failOften(author: Author, times: number): Promise<void> {
  for (let attempt = 0; attempt < times; attempt += 1) await rig.dispatch(author);
}

async function failuresOf({ tenantId, deviceId }: Author, { test } = rig): Promise<number> {
  const rows = await test.database.inTenant(tenantId, (tx) =>
    tx.query<{ failures: number }>(
      `SELECT max(failures)::int4 AS failures FROM mutation WHERE device_id = $1`,
      [deviceId],
    ),
  );
  return rows[0]?.failures ?? -1;
}

/** As if the first failure had been yesterday. */
async function backdate({ tenantId, deviceId }: Author): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `UPDATE mutation SET failing_since = now() - interval '25 hours' WHERE device_id = $1 AND failures > 0`,
      [deviceId],
    ),
  );
}

async function detectedOf({ tenantId }: Author): Promise<SyncEvent['data'][]> {
  const events = await rig.syncEvents();
  return events
    .filter(({ type, tenantid }) => type === 'sync.conflict.detected.v1' && tenantid === tenantId)
    .map(({ data }) => data);
}
