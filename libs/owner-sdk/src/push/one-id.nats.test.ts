import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PushedMutation } from '@sync/protocol';
import { mutationOf, startOwnerRig, type OwnerRig } from '../testing/owner-rig.ts';

/** What becomes of two changes under one mutationId. */
let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
});
afterAll(() => rig.stop());

/** An identity of three letters: all but the data, its version, the data. */
function identity([lasting = '', version = '', data = '']: string): string {
  return lasting.repeat(32) + version.repeat(8) + data.repeat(32);
}

const REUSED = { status: 'rejected', code: 'mutation_id_reused' };
const REFUSED = { userId: 'u1', text: 7 };

/** Another user's change under the same id. */
function otherOf({ mutationId }: PushedMutation): PushedMutation {
  const data = { userId: 'u2', text: 'of somebody else' };
  return mutationOf({ mutationId, userId: 'u2', deviceId: 'd2', data, identity: identity('b1c') });
}

async function eventCount(...mutations: readonly PushedMutation[]): Promise<number> {
  const events = await rig.events();
  return events.filter(({ entityid }) => mutations.some(({ entityId }) => entityId === entityid)).length;
}

describe('an id that was answered', () => {
  it('has that answer for the same change, however often and in whatever version it comes', async () => {
    const mutation = mutationOf({ identity: identity('a1c') });
    const first = await rig.push('alpha', [mutation]);
    const lifted = { ...mutation, data: { userId: 'u1', text: 'lifted' }, identity: identity('a2d') };
    const { identity: _none, ...plain } = mutation;
    for (const again of [mutation, lifted, plain]) expect(await rig.push('alpha', [again])).toEqual(first);
    expect(await eventCount(mutation)).toBe(1);
  });

  it('is refused for another change once it was applied', async () => {
    const mutation = mutationOf({ identity: identity('a1c') });
    const first = await rig.push('alpha', [mutation]);
    const other = otherOf(mutation);
    for (const _attempt of [1, 2]) expect(await rig.push('alpha', [other])).toMatchObject([REUSED]);
    expect(await rig.push('alpha', [mutation])).toEqual(first);
    expect([await eventCount(mutation), await eventCount(other)]).toEqual([1, 0]);
  });

  it('is free for another change when it was rejected', async () => {
    const refused = mutationOf({ identity: identity('a1c'), data: REFUSED });
    expect(await rig.push('alpha', [refused])).toMatchObject([{ code: 'data_invalid' }]);
    const other = otherOf(refused);
    const applied = await rig.push('alpha', [other]);
    expect(applied).toMatchObject([{ status: 'applied' }]);
    expect(await rig.push('alpha', [other])).toEqual(applied);
    expect(await rig.push('alpha', [refused])).toMatchObject([REUSED]);
    expect(await eventCount(other)).toBe(1);
  });

  it('is used by one of two changes that come at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const mutation = mutationOf({ identity: identity('a1c'), entityId: randomUUID() });
      const other = otherOf(mutation);
      const answers = await Promise.all([rig.push('alpha', [mutation]), rig.push('alpha', [other])]);
      const statuses = answers.flat().map((result) => result.status);
      expect(statuses.toSorted()).toEqual(['applied', 'rejected']);
      expect(await eventCount(mutation, other)).toBe(1);
    }
  });

  it('stays refused at the gateway’s word, where a request under way was to take its place', async () => {
    const refused = mutationOf({ identity: identity('a1c'), data: REFUSED });
    const known = mutationOf();
    await rig.push('alpha', [refused, known]);
    const other = otherOf(refused);
    const entity = await holdNew(other.entityId);
    const edit = mutationOf({ entityId: known.entityId, expectedRevision: 1, clock: { 'd:d1': 2 } });
    const late = rig.push('alpha', [edit, other]);
    await entity.awaited();
    const refuse = { code: 'scope_not_held', message: '/scope' };
    expect(await rig.push('alpha', [{ ...other, refuse }])).toMatchObject([{ code: 'scope_not_held' }]);
    await entity.free();
    expect(await late).toMatchObject([{ status: 'applied' }, { code: 'scope_not_held' }]);
    expect(await eventCount(other)).toBe(0);
  });
});

/** Keeps whoever creates an entity waiting, until it is freed without having been created. */
async function holdNew(
  entityId: string,
): Promise<{ readonly awaited: () => Promise<void>; readonly free: () => Promise<void> }> {
  const { database } = rig.test;
  const [held, free] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
  const over = database.inTenant('alpha', async (tx) => {
    await tx.query(
      `INSERT INTO sync_entity (tenant_id, entity_type, entity_id, revision, clock, deleted, changed_at)
       VALUES ('alpha', 'note', $1, 1, '{}', false, now())`,
      [entityId],
    );
    held.resolve(null);
    await free.promise;
    throw new Error('freed');
  });
  await held.promise;
  const waits = `SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return {
    awaited: async () => {
      while ((await database.call('test_lock_waits', waits, [])).length === 0) await sleep(10);
    },
    free: async () => {
      free.resolve(null);
      await expect(over).rejects.toThrow('freed');
    },
  };
}
