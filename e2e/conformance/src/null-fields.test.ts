import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import {
  anotherDevice,
  boundUser,
  entityOf,
  fresh,
  minutes,
  pullUntil,
  pullUntilShown,
  send,
} from './kit/platform.ts';

describe('null in a field that an entity need not have', () => {
  it('does not cost the text beside it: there the field is gone', async () => {
    const { device, scope, userId } = await boundUser();
    const entityId = fresh('n');
    const text = 'two pages of a learner’s own words '.repeat(200);
    const data = { userId, text, colour: null };
    device.write({ scope, entityType: 'note', entityId, op: 'put', data });
    const [outcome] = await device.push();
    expect(outcome).toMatchObject({ status: 'merged', current: { data: { userId, text } } });
    expect(outcome?.current?.data).not.toHaveProperty('colour');
    await pullUntil(device, () => entityOf(device, scope, 'note', entityId) !== undefined);
    expect(entityOf(device, scope, 'note', entityId)?.data).toEqual({ userId, text });
  });

  it('removes it by a patch, and is refused in a field that must be there', async () => {
    const { device, scope, userId } = await boundUser();
    const entityId = fresh('n');
    const write = (op: 'put' | 'patch', data: Record<string, unknown>): LocalMutation =>
      device.write({ scope, entityType: 'note', entityId, op, data });
    write('put', { userId, text: 'kept', colour: 'red' });
    write('patch', { colour: null });
    write('patch', { text: null });
    const outcomes = await device.push();
    expect(outcomes).toMatchObject([
      { status: 'applied' },
      { status: 'merged', current: { data: { userId, text: 'kept' } } },
      { status: 'rejected', code: 'data_invalid', current: { data: { userId, text: 'kept' } } },
    ]);
    expect(outcomes[2]?.current?.data).not.toHaveProperty('colour');
  });

  it('wins as a later write of its field, in whatever order both arrive', async () => {
    const ends = ['earlier first', 'later first'].map(async (order) => {
      const user = await boundUser();
      const other = await anotherDevice(user);
      const { device, scope, userId } = user;
      const entityId = fresh('p');
      const data = { userId, courseId: 'c', percent: 10, status: 'in_progress', score: 1 };
      device.write({ scope, entityType: 'progress', entityId, op: 'put', data, agoMs: minutes(9) });
      await device.push();
      await pullUntil(other, () => entityOf(other, scope, 'progress', entityId) !== undefined);
      const patch = (author: DriverDevice, score: number | null, agoMs: number): LocalMutation =>
        author.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { score }, agoMs });
      const value = patch(device, 2, minutes(2));
      const removal = patch(other, null, minutes(1));
      if (order === 'later first') await send(other, removal);
      await send(device, value);
      if (order === 'earlier first') await send(other, removal);
      const written = [
        { author: device, mutation: value },
        { author: other, mutation: removal },
      ];
      await pullUntilShown(device, written);
      return entityOf(device, scope, 'progress', entityId)?.data;
    });
    for (const end of await Promise.all(ends)) expect(end).not.toHaveProperty('score');
  });
});
