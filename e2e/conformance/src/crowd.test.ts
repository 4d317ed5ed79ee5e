import type { LocalMutation } from '@sync/protocol';
import { type VectorClock, clockSize, counterOf } from '@sync/vector-clock';
import { anotherDevice, boundUser, entityOf, fresh, pullUntil, send } from './kit/platform.ts';

/** More than a clock has entries. */
const CROWD = 258;

it('an entity that more devices have changed than a clock has entries goes on, and loses nothing', async () => {
  const user = await boundUser();
  const { device, scope, userId } = user;
  const entityId = fresh('p');
  const whole = { userId, courseId: 'c', percent: 1, status: 'in_progress', lastPage: 1 };
  const write = (op: LocalMutation['op'], data: Record<string, unknown>): LocalMutation =>
    device.write({ scope, entityType: 'progress', entityId, op, data });
  let [last] = await send(device, write('put', whole));
  const author = await anotherDevice(user);
  await pullUntil(author, () => entityOf(author, scope, 'progress', entityId) !== undefined);
  const clocks: VectorClock[] = [];
  for (let count = 0; count < CROWD; count += 1) {
    const other = await anotherDevice(user);
    // As if it had just pulled what the one before it was answered.
    const seen = last?.clock ?? {};
    const patch = { ...write('patch', { percent: count % 100 }), baseClock: seen };
    [last] = await send(other, patch);
    expect(last).toMatchObject({ status: 'applied' });
    clocks.push(last?.clock ?? {});
  }
  const folded = clocks.findIndex((clock) => counterOf(clock, 's:folded') > 0);
  expect(folded).toBeGreaterThan(200);
  expect(Math.max(...clocks.map(clockSize))).toBeLessThan(256);
  // One that has pulled nothing since: it collides with what it has not seen, and with nothing else.
  const stale = author.write({
    ...{ scope, entityType: 'progress', entityId, op: 'patch' },
    data: { percent: 50, lastPage: 2 },
  });
  const [merged] = await send(author, stale);
  expect(merged).toMatchObject({ status: 'merged', current: { data: { percent: 50, lastPage: 2 } } });
  await pullUntil(author, () => entityOf(author, scope, 'conflict', merged?.conflictId ?? '') !== undefined);
  expect(entityOf(author, scope, 'conflict', merged?.conflictId ?? '')?.data).toMatchObject({
    fields: [{ field: 'percent', ours: (CROWD - 1) % 100, theirs: 50, winner: 'theirs' }],
  });
  for (const one of [device, author]) {
    await pullUntil(one, () => {
      const isThere = entityOf(one, scope, 'conflict', merged?.conflictId ?? '') !== undefined;
      return isThere && entityOf(one, scope, 'progress', entityId)?.data?.['percent'] === 50;
    });
  }
  const { digest } = device.replica(scope);
  expect(author.replica(scope).digest).toEqual(digest);
}, 240_000);
