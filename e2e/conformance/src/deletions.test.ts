import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import { anotherDevice, boundUser, entityOf, fresh, pause, pullUntil, send } from './kit/platform.ts';

type Write = (device: DriverDevice, op: LocalMutation['op'], data?: Record<string, unknown>) => LocalMutation;

interface Shared {
  readonly device: DriverDevice;
  readonly other: DriverDevice;
  readonly write: Write;
  readonly whole: Record<string, unknown>;
  /** What both devices have of it once they have pulled everything; undefined: deleted. */
  readonly end: () => Promise<Record<string, unknown> | null | undefined>;
  /** Waits until the device has pulled what this one brought about. */
  readonly projected: (mutation: LocalMutation) => Promise<void>;
}

/** A progress of 80 % that both devices of a user hold. */
async function sharedProgress(): Promise<Shared> {
  const user = await boundUser();
  const { device, scope, userId } = user;
  const other = await anotherDevice(user);
  const entityId = fresh('p');
  const whole = { userId, courseId: 'c', percent: 80, status: 'in_progress', lastPage: 40, score: 95 };
  const held = (one: DriverDevice): ReturnType<typeof entityOf> => entityOf(one, scope, 'progress', entityId);
  const write: Write = (author, op, data) =>
    author.write({ scope, entityType: 'progress', entityId, op, ...(data ? { data } : {}) });
  await send(device, write(device, 'put', whole));
  for (const one of [device, other]) await pullUntil(one, () => held(one) !== undefined);
  return {
    ...{ device, other, write, whole },
    end: async () => {
      for (const one of [device, other]) await one.sync();
      expect(held(other)?.data).toEqual(held(device)?.data);
      return held(device)?.data;
    },
    projected: async (mutation) => {
      const own = `d:${device.credentials.deviceId}`;
      const dot = (mutation.baseClock?.[own] ?? 0) + 1;
      await pullUntil(device, () =>
        mutation.op === 'delete' ? !held(device) : (held(device)?.clock[own] ?? 0) >= dot,
      );
    },
  };
}

describe('an entity that was deleted and made anew', () => {
  it.each(['before', 'after'])(
    'takes nothing of an older edit that comes %s it is made anew',
    async (when) => {
      const { device, other, write, whole, end, projected } = await sharedProgress();
      const older = write(other, 'patch', { lastPage: 41, score: 97 });
      await pause();
      const anew = { userId: whole['userId'], courseId: 'c', percent: 0, status: 'in_progress' };
      const [deletion, put] = [write(device, 'delete'), write(device, 'put', anew)];
      await send(device, deletion);
      await projected(deletion);
      const push = async (): Promise<void> => {
        const [outcome] = await send(other, older);
        expect(outcome).toMatchObject({ status: 'superseded', conflictId: expect.any(String) as string });
      };
      if (when === 'before') await push();
      await send(device, put);
      await projected(put);
      if (when === 'after') await push();
      expect(await end()).toEqual(anew);
    },
  );

  it('takes nothing of an older edit either when nothing of it is projected yet', async () => {
    const { device, other, write, whole, end, projected } = await sharedProgress();
    const older = write(other, 'patch', { lastPage: 41, score: 97 });
    await pause();
    const anew = { userId: whole['userId'], courseId: 'c', percent: 0, status: 'in_progress' };
    const [deletion, put] = [write(device, 'delete'), write(device, 'put', anew)];
    const [, outcomes] = await Promise.all([
      send(device, deletion, put),
      sleep(1).then(() => send(other, older)),
    ]);
    await projected(put);
    await pullUntil(
      other,
      () => (other.outcomes.get(older.mutationId) ?? outcomes[0])?.status !== 'accepted',
    );
    expect(await end()).toEqual(anew);
  });
});
