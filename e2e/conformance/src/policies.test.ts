import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation, Outcome, PushResponse } from '@sync/protocol';
import { type Bound, anotherDevice, boundUser, entityOf, fresh, pullUntil } from './kit/platform.ts';

/** Pushes as it is, by a device whose clock is right. */
const send = async (device: DriverDevice, ...mutations: LocalMutation[]): Promise<Outcome[]> =>
  (await device.call<PushResponse>('/sync/v1/push', { sentAt: new Date().toISOString(), mutations }))
    .outcomes;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Shared extends Bound {
  readonly other: DriverDevice;
  readonly entityId: string;
}

/** A progress of 10 % that both devices of a user hold. */
async function sharedProgress(): Promise<Shared> {
  const user = await boundUser();
  const other = await anotherDevice(user);
  const entityId = fresh('p');
  const data = { userId: user.userId, courseId: 'c', percent: 10, status: 'in_progress' };
  user.device.write({ scope: user.scope, entityType: 'progress', entityId, op: 'put', data });
  await user.device.push();
  for (const device of [user.device, other]) {
    await pullUntil(device, () => entityOf(device, user.scope, 'progress', entityId) !== undefined);
  }
  return { ...user, other, entityId };
}

describe('two writes of one field end the same in whatever order they arrive', () => {
  it.each([
    ['that changes it', { percent: 30 }, { percent: 20 }, 30],
    ['that repeats what was there', { percent: 10 }, { percent: 20 }, 10],
  ])('the later being one %s', async (_what, later, earlier, percent) => {
    const ends = ['later first', 'earlier first'].map(async (order) => {
      const { device, other, scope, entityId } = await sharedProgress();
      const patch = (author: DriverDevice, data: Record<string, unknown>): LocalMutation =>
        author.write({ scope, entityType: 'progress', entityId, op: 'patch', data });
      const first = patch(device, earlier);
      await pause(20);
      const second = patch(other, later);
      if (order === 'later first') await send(other, second);
      const [outcome] = await send(device, first);
      expect(outcome?.status).toBe(order === 'later first' ? 'superseded' : 'applied');
      if (order === 'earlier first') await send(other, second);
      const bothSeen = (): boolean => {
        const clock = entityOf(device, scope, 'progress', entityId)?.clock ?? {};
        return clock[`d:${other.credentials.deviceId}`] === 1;
      };
      await pullUntil(device, bothSeen);
      return entityOf(device, scope, 'progress', entityId)?.data?.['percent'];
    });
    expect(await Promise.all(ends)).toEqual([percent, percent]);
  });
});

describe('a mutation of an older schemaVersion', () => {
  const highlight = async (
    schemaVersion: number,
    data: Record<string, unknown>,
  ): Promise<Bound & { outcome: Outcome | undefined; entityId: string }> => {
    const user = await boundUser();
    const entityId = fresh('h');
    const whole = { userId: user.userId, courseId: 'c', quote: 'to be', ...data };
    const put = { scope: user.scope, entityType: 'highlight', entityId, op: 'put' as const, data: whole };
    const [outcome] = await send(user.device, { ...user.device.write(put), schemaVersion });
    return { ...user, outcome, entityId };
  };

  it.each([
    [3, { firstPage: 3, lastPage: 5, colour: 'red' }],
    [2, { pages: '3-5', colour: 'red' }],
    [1, { pages: '3-5', color: 'red' }],
  ])('is lifted to the registered one from %i', async (schemaVersion, data) => {
    const { device, scope, userId, entityId, outcome } = await highlight(schemaVersion, data);
    expect(['applied', 'accepted']).toContain(outcome?.status);
    await pullUntil(device, () => entityOf(device, scope, 'highlight', entityId) !== undefined);
    expect(entityOf(device, scope, 'highlight', entityId)).toMatchObject({ schemaVersion: 3 });
    expect(entityOf(device, scope, 'highlight', entityId)?.data).toEqual({
      userId,
      courseId: 'c',
      quote: 'to be',
      firstPage: 3,
      lastPage: 5,
      colour: 'red',
    });
  });

  it('is rejected with its owner’s code when it cannot be lifted', async () => {
    const { outcome } = await highlight(1, { pages: 'all' });
    expect(outcome).toMatchObject({ status: 'rejected', code: 'data_invalid' });
    expect(outcome?.message).toContain('/pages');
  });

  it('is rejected with the version wanted when nobody registered it', async () => {
    const { outcome } = await highlight(4, { firstPage: 3, lastPage: 5 });
    expect(outcome).toMatchObject({ status: 'rejected', code: 'schema_version_unknown' });
    expect(outcome?.message).toContain('wanted is 3');
  });
});
