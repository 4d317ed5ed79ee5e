import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';

/** Mutations that were changed in the gateway’s database while they waited. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => rig.owner.stop());

it.each([
  ['the content', `payload = replace(payload, '"percent":10', '"percent":99')`],
  ['the entity', `payload = replace(payload, '"entityId":"p-', '"entityId":"q-')`],
  ['the scope that is looked up', `scope = 'user:somebody'`],
  ['the payload, to no mutation', `payload = '{}'`],
  ['the payload, to no JSON', `payload = 'percent'`],
  ['the user', `user_id = 'somebody'`],
])('are not carried out, and harm no neighbour: %s', async (_what, change) => {
  const author = newAuthor();
  const [changed, neighbour] = [mutationOf(author), mutationOf(author)];
  expect(await rig.push(author, [changed, neighbour])).toMatchObject([
    { status: 'accepted' },
    { status: 'accepted' },
  ]);
  await rig.test.database.inTenant(author.tenantId, (tx) =>
    tx.query(`UPDATE mutation SET ${change} WHERE mutation_id = $1`, [changed.mutationId]),
  );
  rig.owner.start();
  await rig.nats.flush();
  expect(await rig.dispatch(author)).toBe(2);
  const outcomes = new Map((await rig.waiting(author)).map((outcome) => [outcome.mutationId, outcome]));
  expect(outcomes.get(changed.mutationId)).toMatchObject({ status: 'rejected', code: 'mutation_tampered' });
  expect(outcomes.get(neighbour.mutationId)).toMatchObject({ status: 'applied' });
  expect(rig.owner.applied).not.toContain(changed.mutationId);
});

it('are those of releases before identities, too, and only if they were changed', async () => {
  const author = newAuthor();
  const [changed, neighbour] = [mutationOf(author), mutationOf(author)];
  await rig.push(author, [changed, neighbour]);
  await rig.test.database.inTenant(author.tenantId, async (tx) => {
    const ofPayload = `payload_hash = sha256(convert_to(payload, 'UTF8'))`;
    await tx.query(`UPDATE mutation SET ${ofPayload} WHERE device_id = $1`, [author.deviceId]);
    const changeIt = `payload = replace(payload, '"percent":10', '"percent":99')`;
    await tx.query(`UPDATE mutation SET ${changeIt} WHERE mutation_id = $1`, [changed.mutationId]);
  });
  rig.owner.start();
  await rig.nats.flush();
  await rig.dispatch(author);
  expect(await rig.waiting(author)).toMatchObject([{ code: 'mutation_tampered' }, { status: 'applied' }]);
});
