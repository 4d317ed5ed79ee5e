import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LocalMutation } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

/** What a device says that it has seen (CLOCK-5). */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
afterEach(async () => {
  rig.owner.projectsAtOnce = true;
  await rig.owner.projectAll();
});

const BEYOND = Number.MAX_SAFE_INTEGER - 1;
const patch = (author: Author, change: Partial<LocalMutation>): LocalMutation =>
  mutationOf(author, { op: 'patch', entityType: 'enrollment', ...change });

async function changedTwice(author: Author, entityType: string): Promise<string> {
  const entityId = `e-${author.deviceId}`;
  for (const status of ['active', 'paid'])
    await rig.owner.change(author.tenantId, entityType, entityId, { userId: author.userId, status });
  return entityId;
}

describe('a device that claims more than there is', () => {
  const claims = (author: Author): Record<string, number>[] => [
    { 's:learning': BEYOND },
    { 's:learning': 3 },
    { 's:learning': BEYOND, 's:folded': BEYOND, 'd:other': BEYOND },
    { 's:learning': BEYOND, [`d:${author.deviceId}`]: 0 },
  ];

  it('overwrites nothing of a server_authoritative entity', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'enrollment');
    for (const baseClock of claims(author)) {
      const [outcome] = await rig.push(author, [
        patch(author, { entityId, baseClock, data: { status: 'mine' } }),
      ]);
      expect(outcome).toMatchObject({
        status: 'rejected',
        code: 'server_changed',
        conflictId: expect.any(String),
        current: { data: { status: 'paid' } },
      });
    }
    expect(rig.owner.entity(author.tenantId, 'enrollment', entityId)?.revision).toBe(2);
  });

  it('skips no review of a collision', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'note');
    for (const baseClock of claims(author)) {
      for (const change of [{ data: { status: 'mine' } }, { op: 'delete', data: null }] as const) {
        const mutation = patch(author, { entityType: 'note', entityId, baseClock, ...change });
        expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'conflict' }]);
      }
    }
  });

  it('has what it overwrites recorded', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'progress');
    const baseClock = { 's:learning': BEYOND };
    const mutation = patch(author, { entityType: 'progress', entityId, baseClock, data: { status: 'mine' } });
    expect(await rig.push(author, [mutation])).toMatchObject([
      { status: 'merged', conflictId: expect.any(String) },
    ]);
  });

  it('does not get past a deletion', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'note');
    await rig.owner.change(author.tenantId, 'note', entityId, null);
    const baseClock = { 's:learning': BEYOND };
    const put = mutationOf(author, { entityType: 'note', entityId, baseClock });
    expect(await rig.push(author, [put])).toMatchObject([{ status: 'conflict' }]);
  });

  it('is not believed either while the read model is behind', async () => {
    const author = newAuthor();
    const entityId = `e-${author.deviceId}`;
    rig.owner.projectsAtOnce = false;
    await changedTwice(author, 'enrollment');
    const baseClock = { 's:learning': BEYOND };
    const mutation = patch(author, { entityId, baseClock, data: { status: 'mine' } });
    const [outcome] = await rig.push(author, [mutation]);
    expect(outcome?.status).not.toBe('applied');
    await rig.owner.projectAll();
    await rig.dispatch(author);
    expect(rig.owner.entity(author.tenantId, 'enrollment', entityId)?.data).toMatchObject({ status: 'paid' });
  });

  it('is believed in what there is, wherever it claims more beside it', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'enrollment');
    const baseClock = { 's:learning': 2, 'd:never': 7 };
    const mutation = patch(author, { entityId, baseClock, data: { status: 'mine' } });
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
  });
});

describe('a device that has seen what is not projected yet', () => {
  it.each(['enrollment', 'progress', 'note'])('changes the %s cleanly', async (entityType) => {
    const author = newAuthor();
    const entityId = await changedTwice(author, entityType);
    rig.owner.projectsAtOnce = false;
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, entityType, entityId, { userId, status: 'late' });
    const own = `d:${author.deviceId}`;
    const mutations = [{}, { [own]: 1 }, { [own]: 2 }].map((counted, place) =>
      patch(author, {
        ...{ entityType, entityId, data: { status: `mine ${place}` } },
        baseClock: { 's:learning': 3, ...counted },
      }),
    );
    const outcomes = await rig.push(author, mutations);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
    const entity = rig.owner.entity(tenantId, entityType, entityId);
    expect(entity).toMatchObject({ revision: 6, data: { status: 'mine 2' } });
    expect(outcomes.filter((outcome) => 'conflictId' in outcome)).toEqual([]);
  });

  it('changes again what it has just changed', async () => {
    const author = newAuthor();
    const entityId = await changedTwice(author, 'enrollment');
    rig.owner.projectsAtOnce = false;
    for (const counter of [0, 1, 2]) {
      const baseClock = { 's:learning': 2, [`d:${author.deviceId}`]: counter };
      const mutation = patch(author, { entityId, baseClock, data: { status: `mine ${counter}` } });
      expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
    }
  });
});
