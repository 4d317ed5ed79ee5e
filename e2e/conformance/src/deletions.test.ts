import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';
import { anotherDevice, boundUser, entityOf, fresh, minutes, pullUntil, send } from './kit/platform.ts';

type Write = (
  device: DriverDevice,
  agoMs: number,
  op: LocalMutation['op'],
  data?: Record<string, unknown>,
) => LocalMutation;

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
  const write: Write = (author, agoMs, op, data) =>
    author.write({ scope, entityType: 'progress', entityId, op, agoMs, ...(data ? { data } : {}) });
  await send(device, write(device, minutes(9), 'put', whole));
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
      const older = write(other, minutes(3), 'patch', { lastPage: 41, score: 97 });
      const anew = { userId: whole['userId'], courseId: 'c', percent: 0, status: 'in_progress' };
      const [deletion, put] = [write(device, minutes(2), 'delete'), write(device, minutes(1), 'put', anew)];
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
    const older = write(other, minutes(3), 'patch', { lastPage: 41, score: 97 });
    const anew = { userId: whole['userId'], courseId: 'c', percent: 0, status: 'in_progress' };
    const [deletion, put] = [write(device, minutes(2), 'delete'), write(device, minutes(1), 'put', anew)];
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

/**
 * An edit of a device that has not seen the deletion, and is later than it: the entity comes back, whoever is
 * told first.
 */
describe('a deletion and later edits that had not seen it', () => {
  const anew = { courseId: 'c', percent: 0, status: 'in_progress' };
  /** What is written, in this order, and what must be there at the end; each as one push of its own. */
  const CASES = [
    [
      'one edit',
      [
        ['A', 'delete'],
        ['B', { lastPage: 41 }],
      ],
      { lastPage: 41 },
    ],
    [
      'an edit of several fields',
      [
        ['A', 'delete'],
        ['B', { lastPage: 41, score: 97 }],
      ],
      { lastPage: 41, score: 97 },
    ],
    [
      'two edits',
      [
        ['A', 'delete'],
        ['B', { lastPage: 41 }],
        ['C', { lastPage: 42, score: 97 }],
      ],
      { lastPage: 42, score: 97 },
    ],
    [
      'one edit, and it is made anew',
      [
        ['A', 'delete'],
        ['A', 'put'],
        ['B', { lastPage: 41 }],
      ],
      { ...anew, lastPage: 41, score: undefined },
    ],
  ] as const;
  type Step = (typeof CASES)[number][1][number];

  /** All orders in which what A wrote stays in A’s order. */
  function ordersOf(steps: readonly Step[]): Step[][] {
    if (steps.length === 0) return [[]];
    return steps.flatMap((first, at) => {
      if (steps.slice(0, at).some(([by]) => by === first[0])) return [];
      return ordersOf(steps.filter((step) => step !== first)).map((rest) => [first, ...rest]);
    });
  }

  const runs = CASES.flatMap(([what, steps, end]) =>
    ordersOf(steps).flatMap((order) =>
      [true, false].map((prompt) => ({
        ...{ what, steps, end, order, prompt },
        told: order.map(([by, did]) => `${by} ${typeof did === 'string' ? did : 'edits'}`).join(', '),
        projection: prompt ? 'each projected at once' : 'one after the other at once',
      })),
    ),
  );

  it.each(runs)('$what: $told, $projection', async ({ steps, end, order, prompt }) => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const [second, third] = [await anotherDevice(user), await anotherDevice(user)];
    const devices = { A: device, B: second, C: third };
    const all = Object.values(devices);
    const entityId = fresh('p');
    const whole = { userId, courseId: 'c', percent: 80, status: 'in_progress', lastPage: 40, score: 95 };
    const held = (one: DriverDevice): ReturnType<typeof entityOf> =>
      entityOf(one, scope, 'progress', entityId);
    const progress = { scope, entityType: 'progress', entityId } as const;
    await send(device, device.write({ ...progress, op: 'put', data: whole, agoMs: minutes(9) }));
    for (const one of all) await pullUntil(one, () => held(one) !== undefined);
    const written = new Map<Step, LocalMutation>();
    for (const [place, step] of steps.entries()) {
      const [by, did] = step;
      const data = did === 'put' ? { userId, ...anew } : did === 'delete' ? undefined : did;
      const op = typeof did === 'string' ? did : 'patch';
      const agoMs = minutes(steps.length - place);
      written.set(step, devices[by].write({ ...progress, op, agoMs, ...(data && { data }) }));
    }
    // It pulls for all: what the others wrote, they wrote without having seen it.
    const watcher = await anotherDevice(user);
    for (const step of order) {
      const mutation = written.get(step) as LocalMutation;
      const [outcome] = await send(devices[step[0]], mutation);
      if (prompt) await seen(watcher, devices[step[0]], mutation, outcome);
    }
    const expected = Object.fromEntries(
      Object.entries({ ...whole, ...end }).filter(([, value]) => value !== undefined),
    );
    for (const one of all) {
      // What it does not come to is told below.
      await pullUntil(one, () => isDeepStrictEqual(held(one)?.data, expected)).catch(() => undefined);
      await one.sync();
    }
    const [first, ...others] = all.map((one) => ({ data: held(one)?.data, clock: held(one)?.clock }));
    expect(first?.data).toEqual(expected);
    for (const other of others) expect(other).toEqual(first);
  });

  /** Waits until the change is where devices pull it; what had no effect is there already. */
  async function seen(
    watcher: DriverDevice,
    author: DriverDevice,
    { entityType, entityId, scope, op }: LocalMutation,
    outcome: Outcome | undefined,
  ): Promise<void> {
    if (outcome?.status !== 'applied' && outcome?.status !== 'merged') return;
    const own = `d:${author.credentials.deviceId}`;
    await pullUntil(watcher, () => {
      const delta = entityOf(watcher, scope, entityType, entityId);
      return op === 'delete' ? !delta : (delta?.clock[own] ?? 0) >= (outcome.clock?.[own] ?? 0);
    });
  }
});
