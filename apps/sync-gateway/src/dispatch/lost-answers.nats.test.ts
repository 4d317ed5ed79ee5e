import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { ConflictSeen, LocalMutation } from '@sync/protocol';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 300 });
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.mode = 'answers';
});

it('records what every change of a lane overwrote, although the owner’s one answer to all of them was lost', async () => {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `lost-${deviceId}`;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1, page: 1 });
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 2, page: 2 });
  const patch = (data: object, baseClock: Record<string, number>): LocalMutation => {
    return mutationOf(author, { entityId, op: 'patch', data: { ...data }, baseClock });
  };
  const mutations = [
    patch({ percent: 9 }, { 's:learning': 1 }),
    patch({ page: 9 }, { 's:learning': 1, [`d:${deviceId}`]: 1 }),
  ];
  rig.owner.mode = 'silent';
  expect(await rig.push(author, mutations)).toMatchObject([{ status: 'accepted' }, { status: 'accepted' }]);
  expect(rig.owner.entity(tenantId, 'progress', entityId)?.data).toMatchObject({ percent: 9, page: 9 });
  rig.owner.mode = 'answers';
  await rig.dispatch(author);
  expect(await rig.waiting(author)).toMatchObject([{ status: 'merged' }, { status: 'merged' }]);
  const records = (await rig.syncEvents()).filter(({ type }) => type.startsWith('sync.conflict.'));
  expect(records.map(({ data }) => (data as ConflictSeen).draft)).toMatchObject([
    { fields: [{ field: 'percent', ours: 2, theirs: 9, winner: 'theirs' }] },
    { fields: [{ field: 'page', ours: 2, theirs: 9, winner: 'theirs' }] },
  ]);
});
