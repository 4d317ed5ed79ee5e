import { randomUUID } from 'node:crypto';
import { type DriverDevice, changeOnServer, deleteOnServer } from '@sync/e2e-device';
import type { LocalMutation, Outcome, RemoteDelta } from '@sync/protocol';
import {
  type Bound,
  anotherDevice,
  boundUser,
  entityOf,
  fresh,
  minutes,
  platform,
  pullUntil,
  pullUntilShown,
  send,
  statement,
} from './kit/platform.ts';

/** Pushes as it is, by a device whose clock is right. */
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
  const put = { scope: user.scope, entityType: 'progress', entityId, op: 'put', data } as const;
  user.device.write({ ...put, agoMs: minutes(9) });
  await user.device.push();
  for (const device of [user.device, other]) {
    await pullUntil(device, () => entityOf(device, user.scope, 'progress', entityId) !== undefined);
  }
  return { ...user, other, entityId };
}

/** The ConflictRecord of an outcome, pulled as data. */
async function recordOf(
  device: DriverDevice,
  scope: string,
  outcome: Outcome | undefined,
): Promise<RemoteDelta | undefined> {
  const conflictId = outcome?.conflictId ?? 'none';
  await pullUntil(device, () => entityOf(device, scope, 'conflict', conflictId) !== undefined);
  return entityOf(device, scope, 'conflict', conflictId);
}

/** `accepted` is a promise: the outcome may follow in a pull. */
async function ended(device: DriverDevice, { mutationId }: LocalMutation): Promise<Outcome | undefined> {
  const known = (): Outcome | undefined => device.outcomes.get(mutationId);
  await pullUntil(device, () => known() !== undefined && known()?.status !== 'accepted');
  return known();
}

describe('two writes of one field end the same in whatever order they arrive', () => {
  it.each([
    ['that changes it', { percent: 30 }, { percent: 20 }, 30],
    ['that repeats what was there', { percent: 10 }, { percent: 20 }, 10],
  ])('the later being one %s', async (_what, later, earlier, percent) => {
    const ends = ['later first', 'earlier first'].map(async (order) => {
      const { device, other, scope, entityId } = await sharedProgress();
      const patch = (author: DriverDevice, data: Record<string, unknown>, agoMs: number): LocalMutation =>
        author.write({ scope, entityType: 'progress', entityId, op: 'patch', data, agoMs });
      const first = patch(device, earlier, minutes(2));
      const second = patch(other, later, minutes(1));
      if (order === 'later first') await send(other, second);
      const [outcome] = await send(device, first);
      expect(outcome?.status).toBe(order === 'later first' ? 'superseded' : 'applied');
      if (order === 'earlier first') await send(other, second);
      const written = [
        { author: device, mutation: first },
        { author: other, mutation: second },
      ];
      await pullUntilShown(device, written);
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

describe('what loses to the server is a record that its user pulls', () => {
  it('when both wrote one field, with both values, on every device of the user', async () => {
    const { device, other, scope, entityId } = await sharedProgress();
    const patch = (author: DriverDevice, percent: number, agoMs: number): LocalMutation =>
      author.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { percent }, agoMs });
    patch(device, 20, minutes(2));
    patch(other, 30, minutes(1));
    await other.push();
    const [lost] = await device.push();
    expect(lost).toMatchObject({ status: 'superseded', current: { data: { percent: 30 } } });
    for (const one of [device, other]) {
      expect((await recordOf(one, scope, lost))?.data).toMatchObject({
        status: 'auto_resolved',
        entityType: 'progress',
        entityId,
        ours: { percent: 30 },
        theirs: { percent: 20 },
        fields: [{ field: 'percent', ours: 30, theirs: 20, winner: 'ours' }],
      });
    }
  });

  it('when the entity was deleted while the mutation waited', async () => {
    const { device, scope, tenantId, entityId } = await sharedProgress();
    const edit = device.write({
      scope,
      entityType: 'progress',
      entityId,
      op: 'patch',
      data: { percent: 77 },
      agoMs: minutes(1),
    });
    await deleteOnServer(platform().learning, tenantId, 'progress', entityId);
    await device.push();
    const outcome = await ended(device, edit);
    expect(['superseded', 'rejected']).toContain(outcome?.status);
    expect(outcome?.current).toMatchObject({ op: 'delete', data: null });
    expect((await recordOf(device, scope, outcome))?.data).toMatchObject({
      ours: null,
      theirs: { percent: 77 },
    });
  });

  it('when the server has the last word, though its change was not projected yet', async () => {
    const user = await boundUser();
    const [entityId, courseId] = [fresh('e'), fresh('c')];
    const { device, scope, tenantId, userId } = user;
    const write = (status: string): Promise<void> =>
      changeOnServer(platform().learning, tenantId, 'enrollment', entityId, { userId, courseId, status });
    await write('active');
    await pullUntil(device, () => entityOf(device, scope, 'enrollment', entityId) !== undefined);
    const data = { status: 'withdrawn' };
    device.write({ scope, entityType: 'enrollment', entityId, op: 'patch', data });
    await write('completed');
    const [outcome] = await device.push();
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'server_changed',
      current: { data: { status: 'completed' } },
    });
    expect((await recordOf(device, scope, outcome))?.data).toMatchObject({
      ours: { status: 'completed' },
      theirs: data,
    });
  });

  it.each([
    ['note', 'in one request'],
    ['note', 'one after the other'],
    ['progress', 'one after the other'],
  ])('when its %s is not there any more by its own deletion, %s', async (entityType, how) => {
    const { device, scope, userId } = await boundUser();
    const entity = { scope, entityType, entityId: fresh('own') };
    const fields = { note: { text: 'made' }, progress: { courseId: 'c', percent: 1, status: 'in_progress' } };
    const whole = { userId, ...fields[entityType as keyof typeof fields] };
    const edit = entityType === 'note' ? { text: 'edited once more' } : { percent: 99 };
    const changes = [
      { op: 'put' as const, data: whole },
      { op: 'delete' as const },
      // The device had pulled the entity again before its deletion was projected.
      { op: 'patch' as const, data: edit },
    ];
    let last: LocalMutation | undefined;
    for (const change of changes) {
      last = device.write({ ...entity, ...change });
      if (how === 'one after the other') await device.push();
    }
    await device.push();
    const outcome = await ended(device, last as LocalMutation);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'data_invalid', current: { op: 'delete' } });
    expect((await recordOf(device, scope, outcome))?.data).toMatchObject({ ours: null, theirs: edit });
  });

  it('when what should have made its entity was refused', async () => {
    const { device, scope } = await boundUser();
    const entity = { scope, entityType: 'note', entityId: fresh('n') };
    device.write({ ...entity, op: 'put', data: { userId: 'somebody-else', text: 'made' } });
    const edit = device.write({ ...entity, op: 'patch', data: { text: 'edited' } });
    const [refused] = await device.push();
    expect(refused).toMatchObject({ status: 'rejected', code: 'forbidden' });
    const outcome = await ended(device, edit);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'data_invalid' });
    expect((await recordOf(device, scope, outcome))?.data).toMatchObject({ theirs: { text: 'edited' } });
  });

  it('when another record has taken its id', async () => {
    const { device, scope } = await boundUser();
    const entityId = randomUUID();
    const append = (page: number): LocalMutation =>
      device.write({
        scope,
        entityType: 'statement',
        entityId,
        op: 'append',
        data: statement(entityId, page),
      });
    append(1);
    append(2);
    const [first, second] = await device.push();
    expect(first?.status).toBe('applied');
    expect(second).toMatchObject({ status: 'rejected', code: 'entity_exists' });
    expect((await recordOf(device, scope, second))?.data).toMatchObject({
      policy: 'append_only',
      theirs: { object: statement(entityId, 2)['object'] },
    });
  });
});

describe('a clock that is years off', () => {
  const YEAR_MS = 365 * 86_400_000;

  it.each([10, -10])('by %i years decides by when it was written', async (years) => {
    const { device, other, scope, entityId } = await sharedProgress();
    other.clockOffsetMs = years * YEAR_MS;
    const patch = (author: DriverDevice, percent: number, agoMs = 0): LocalMutation =>
      author.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { percent }, agoMs });
    const wrong = patch(other, 20, minutes(1));
    const right = patch(device, 30);
    expect(await device.push()).toMatchObject([{ status: 'applied' }]);
    await other.push();
    expect(await ended(other, wrong)).toMatchObject({
      status: 'superseded',
      current: { data: { percent: 30 } },
    });
    expect(right.mutationId).not.toBe(wrong.mutationId);
    patch(other, 40);
    await other.push();
    const percent = (): unknown => entityOf(device, scope, 'progress', entityId)?.data?.['percent'];
    await pullUntil(device, () => percent() === 40);
    expect(percent()).toBe(40);
  });

  it('never gives an entity a time later than the server’s', async () => {
    const { device, scope, userId } = await boundUser();
    device.clockOffsetMs = 10 * YEAR_MS;
    const entityId = fresh('n');
    const data = { userId, text: 'from the future' };
    device.write({ scope, entityType: 'note', entityId, op: 'put', data });
    const answer = await device.push();
    expect(answer).toMatchObject([{ status: 'applied' }]);
    await pullUntil(device, () => entityOf(device, scope, 'note', entityId) !== undefined);
    const committedAt = Date.parse(entityOf(device, scope, 'note', entityId)?.committedAt ?? '');
    expect(Math.abs(committedAt - Date.now())).toBeLessThan(YEAR_MS);
  });
});

describe('a poison mutation', () => {
  it('fails what depends on it, in later pushes too, and nothing else', async () => {
    const { device, scope, userId } = await boundUser();
    const put = (data: object, dependsOn: string[] = []): LocalMutation =>
      device.write({
        scope,
        entityType: 'note',
        entityId: fresh('n'),
        op: 'put',
        data: { userId, text: 'fine', ...data },
        dependsOn,
      });
    const poison = put({ text: 7 });
    put({});
    expect(await device.push()).toMatchObject([
      { status: 'rejected', code: 'data_invalid' },
      { status: 'applied' },
    ]);
    const dependant = put({}, [poison.mutationId]);
    put({});
    expect(await device.push()).toMatchObject([
      { status: 'rejected', code: 'dependency_failed', current: { op: 'delete' } },
      { status: 'applied' },
    ]);
    put({}, [dependant.mutationId]);
    expect(await device.push()).toMatchObject([{ status: 'rejected', code: 'dependency_failed' }]);
  });

  it('leaves its own entity open to what follows', async () => {
    const { device, scope, userId } = await boundUser();
    const entityId = fresh('n');
    const write = (op: 'put' | 'patch', data: Record<string, unknown>): LocalMutation =>
      device.write({ scope, entityType: 'note', entityId, op, data });
    write('put', { userId, text: 'a' });
    write('patch', { text: 7 });
    write('patch', { text: 'b' });
    expect((await device.push()).map(({ status }) => status)).toEqual(['applied', 'rejected', 'applied']);
  });
});

describe('a collision under review', () => {
  it('is a conflict that both devices pull as data, while the server’s value stands', async () => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const other = await anotherDevice(user);
    const entityId = fresh('n');
    device.write({ scope, entityType: 'note', entityId, op: 'put', data: { userId, text: 'base' } });
    await device.push();
    for (const one of [device, other]) {
      await pullUntil(one, () => entityOf(one, scope, 'note', entityId) !== undefined);
    }
    const patch = (author: DriverDevice, text: string): LocalMutation =>
      author.write({ scope, entityType: 'note', entityId, op: 'patch', data: { text } });
    patch(device, 'stands');
    patch(other, 'waits for a person');
    await device.push();
    const [held] = await other.push();
    expect(held).toMatchObject({ status: 'conflict', current: { data: { text: 'stands' } } });
    for (const one of [device, other]) {
      const record = await recordOf(one, scope, held);
      // It goes another way than its record.
      await pullUntil(one, () => entityOf(one, scope, 'note', entityId)?.data?.['text'] !== 'base');
      expect(record).toMatchObject({ op: 'put', entityType: 'conflict', entityId: held?.conflictId });
      expect(record?.data).toMatchObject({
        status: 'open',
        userId,
        entityType: 'note',
        entityId,
        ours: { text: 'stands' },
        theirs: { text: 'waits for a person' },
        fields: [{ field: 'text', ours: 'stands', theirs: 'waits for a person', winner: 'open' }],
      });
      expect(entityOf(one, scope, 'note', entityId)?.data).toMatchObject({ text: 'stands' });
    }
  });
});
