import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';
import * as Y from 'yjs';
import { type Bound, boundUser, entityOf, fresh, platform, pullUntil, send } from './kit/platform.ts';

/** Two requests of a device arrive in the wrong order: what the second one builds on comes after it. */

/** Pushes the later one first. @returns its outcome, which a pull brings */
async function inWrongOrder(
  device: DriverDevice,
  earlier: LocalMutation,
  later: LocalMutation,
): Promise<Outcome | undefined> {
  expect(await send(device, later)).toMatchObject([{ status: 'accepted' }]);
  // An owner that has just started may take longer than a push.
  expect(['applied', 'accepted']).toContain((await send(device, earlier))[0]?.status);
  await pullUntil(device, () => device.outcomes.has(later.mutationId));
  return device.outcomes.get(later.mutationId);
}

const progressOf = ({ userId }: Bound) => ({ userId, courseId: 'c', percent: 1, status: 'in_progress' });

describe('an edit that arrives before the creation that its baseClock counts', () => {
  it('waits for it and is applied', async () => {
    const user = await boundUser();
    const { device, scope } = user;
    const entity = { scope, entityType: 'progress', entityId: fresh('p') };
    const put = device.write({ ...entity, op: 'put', data: progressOf(user) });
    const patch = device.write({ ...entity, op: 'patch', data: { percent: 50 } });
    expect(await inWrongOrder(device, put, patch)).toMatchObject({ status: 'applied' });
    const percent = (): unknown => entityOf(device, scope, 'progress', entity.entityId)?.data?.['percent'];
    await pullUntil(device, () => percent() === 50);
    expect(percent()).toBe(50);
  });

  it('waits for it with an update of a document, too', async () => {
    const user = await boundUser();
    const { device, tenantId, userId } = user;
    const courseId = fresh('c');
    const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
    await changeOnServer(platform().learning, tenantId, 'enrollment', fresh('e'), enrollment);
    const scope = `course:${courseId}`;
    await pullUntil(device, () => device.scopes.has(scope));
    const entity = { scope, entityType: 'document', entityId: randomUUID() };
    const put = device.write({ ...entity, op: 'put', data: { courseId, title: 'Dosage' } });
    const doc = new Y.Doc();
    doc.getText('body').insert(0, 'written offline');
    const update = Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64');
    const merge = device.write({ ...entity, op: 'merge', update });
    expect(await inWrongOrder(device, put, merge)).toMatchObject({
      status: expect.stringMatching(/applied|merged/),
    });
  });
});

describe('a mutation that arrives before what it depends on', () => {
  it.each(['another entity', 'the same entity'])('waits for it and is applied: %s', async (which) => {
    const user = await boundUser();
    const { device, scope } = user;
    const [first, second] = [fresh('p'), fresh('p')];
    const put = device.write({
      ...{ scope, entityType: 'progress', entityId: first, op: 'put' },
      data: progressOf(user),
    });
    const dependant = device.write({
      ...{ scope, entityType: 'progress', entityId: which === 'the same entity' ? first : second, op: 'put' },
      data: { ...progressOf(user), percent: 2 },
      dependsOn: [put.mutationId],
    });
    const outcome = await inWrongOrder(device, put, { ...dependant, baseClock: {} });
    expect(outcome).toMatchObject({ status: 'applied' });
  });
});
