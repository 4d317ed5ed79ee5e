import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());

it('lets nothing of a lane that is too large for one request overwrite what nobody has seen', async () => {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `large-${deviceId}`;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1 });
  // Two of them fill a request; the third goes in the next one, and expects revision 3.
  const baseClock = (own: number): Record<string, number> => ({
    's:learning': 1,
    ...(own > 0 && { [`d:${deviceId}`]: own }),
  });
  const patch = (own: number, data: object): object =>
    mutationOf(author, { entityId, op: 'patch', data: { ...data }, baseClock: baseClock(own) });
  const mutations = [
    patch(0, { first: 'x'.repeat(250_000) }),
    patch(1, { second: 'x'.repeat(250_000) }),
    patch(2, { percent: 10, third: 'x'.repeat(250_000) }),
  ];
  // By accident the service is there already, with a later change of the same field.
  rig.owner.projectsAtOnce = false;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 2 });
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 3 });
  setTimeout(() => void rig.owner.projectAll(), 100);
  const outcomes = await rig.push(author, mutations);
  expect(outcomes.map(({ status }) => status)).toEqual(['merged', 'merged', 'merged']);
  expect(rig.owner.entity(tenantId, 'progress', entityId)?.data?.['percent']).toBe(3);
  expect(outcomes[2]).toHaveProperty('conflictId');
});
