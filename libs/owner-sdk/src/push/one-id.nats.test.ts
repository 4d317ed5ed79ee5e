import { randomUUID } from 'node:crypto';
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
});
