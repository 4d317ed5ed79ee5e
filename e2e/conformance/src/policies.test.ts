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
