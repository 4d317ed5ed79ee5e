import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
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

it('does not count a repetition as one more change: the one behind it overwrites nothing unseen', async () => {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `repeated-${deviceId}`;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1 });
  const first = mutationOf(author, {
    entityId,
    op: 'patch',
    data: { percent: 5 },
    baseClock: { 's:learning': 1 },
  });
  rig.owner.mode = 'silent';
  await rig.push(author, [first]);
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 20 });
  // It wins over 20 and loses to 30: each is written in a millisecond of its own.
  await sleep(2);
  const second = mutationOf(author, {
    ...{ entityId, op: 'patch', data: { percent: 6 } },
    baseClock: { 's:learning': 1, [`d:${deviceId}`]: 1 },
  });
  await sleep(2);
  rig.owner.projectsAtOnce = false;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 30 });
  rig.owner.mode = 'answers';
  await rig.push(author, [second]);
  await rig.dispatch(author);
  await rig.owner.projectAll();
  await rig.dispatch(author);
  rig.owner.projectsAtOnce = true;
  const [, ended] = await rig.waiting(author);
  expect(ended).toMatchObject({ mutationId: second.mutationId, status: 'superseded' });
  expect(rig.owner.entity(tenantId, 'progress', entityId)?.data).toEqual({ userId, percent: 30 });
  const records = (await rig.syncEvents()).map(({ data }) => data as ConflictSeen);
  expect(records.find(({ mutationId }) => mutationId === second.mutationId)?.draft).toMatchObject({
    fields: [{ field: 'percent', ours: 30, theirs: 6, winner: 'ours' }],
  });
});

it('asks its owner about every change alone that was perhaps applied, although it did not know the one before', async () => {
  // One that has answered so far, and is sent all three together.
  const rig = await startPushRig({ ownerTimeoutMs: 300 });
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `alone-${deviceId}`;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1, page: 1 });
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1, page: 2 });
  const mutations = [{ percent: 5 }, { page: 6 }, { percent: 7 }].map((data, place) => {
    const own = place > 0 ? { [`d:${deviceId}`]: place } : {};
    // The second is older than what the server wrote there, and never sent.
    const old = place === 1 ? { occurredAt: '2020-01-01T00:00:00Z' } : {};
    return mutationOf(author, {
      ...{ entityId, op: 'patch', data, ...old },
      baseClock: { 's:learning': 1, ...own },
    });
  });
  rig.owner.mode = 'silent';
  await rig.push(author, mutations);
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 30, page: 2 });
  for (let attempt = 1; attempt < 3; attempt += 1) await rig.dispatch(author);
  rig.owner.mode = 'answers';
  await rig.dispatch(author);
  const ended = await rig.waiting(author);
  expect(ended.map(({ status }) => status)).toEqual(['merged', 'superseded', 'merged']);
  const ids = mutations.map(({ mutationId }) => mutationId);
  expect(rig.owner.applied.filter((id) => ids.includes(id))).toEqual([ids[0], ids[2]]);
  await rig.stop();
});
