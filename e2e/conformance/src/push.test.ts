import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import {
  type Bound,
  anotherDevice,
  appendStatements,
  boundUser,
  entityOf,
  fresh,
  minutes,
  platform,
  pullUntil,
  send,
  sendAsItIs,
} from './kit/platform.ts';

/** A note that both of a user's devices hold. */
async function sharedNote(): Promise<Bound & { other: DriverDevice; noteId: string; base: LocalMutation }> {
  const user = await boundUser();
  const other = await anotherDevice(user);
  const noteId = fresh('n');
  const base = user.device.write({
    scope: user.scope,
    entityType: 'note',
    entityId: noteId,
    op: 'put',
    data: { userId: user.userId, text: 'base', colour: 'white' },
  });
  await user.device.push();
  for (const device of [user.device, other]) {
    await pullUntil(device, () => entityOf(device, user.scope, 'note', noteId) !== undefined);
  }
  return { ...user, other, noteId, base };
}

describe('push', () => {
  it('answers one outcome per mutation in the same order', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 20);
    const sent = user.device.outbox.map(({ mutationId }) => mutationId);
    expect((await user.device.push()).map(({ mutationId }) => mutationId)).toEqual(sent);
  });

  it('answers a retried push the same, however often it is sent, with one effect', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 3);
    const mutations = [...user.device.outbox];
    const first = await send(user.device, ...mutations);
    const retries = await Promise.all(
      [1, 2, 3, 4, 5].map(async (pause) => {
        await new Promise((resolve) => setTimeout(resolve, pause * 40));
        return send(user.device, ...mutations);
      }),
    );
    for (const retry of retries) expect(retry).toEqual(first);
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 3);
    expect(user.device.replica(user.scope).log.length).toBe(3);
  });

  it('rejects a mutationId that comes again with another payload, and keeps the first', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 1);
    const [mutation] = user.device.outbox;
    if (!mutation) throw new Error('nothing was written');
    const [first] = await send(user.device, mutation);
    const other = { ...mutation.data, timestamp: '2027-01-01T00:00:00Z' };
    const [reused] = await send(user.device, { ...mutation, data: other });
    const [again] = await send(user.device, mutation);
    expect(first?.status).toBe('applied');
    expect(reused).toMatchObject({ status: 'rejected', code: 'mutation_id_reused' });
    expect(again).toEqual(first);
  });

  it('reads a mutationId in either case and answers it in lower case', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 1);
    const [mutation] = user.device.outbox;
    if (!mutation) throw new Error('nothing was written');
    const { mutationId } = mutation;
    // Its tag was made of the lower case, and fits.
    const sent = { ...mutation, mutationId: mutationId.toUpperCase() };
    const first = await sendAsItIs(user.device, sent);
    expect(first).toMatchObject([{ mutationId, status: 'applied' }]);
    expect(await send(user.device, mutation)).toEqual(first);
    const { outcomes } = await user.device.pullOnce();
    expect(outcomes.map((outcome) => outcome.mutationId)).toEqual([mutationId]);
  });

  it('applies chained offline edits of one device without a conflict', async () => {
    const user = await boundUser();
    const entityId = fresh('p');
    for (let percent = 0; percent <= 20; percent += 1) {
      user.device.write({
        scope: user.scope,
        entityType: 'progress',
        entityId,
        op: percent === 0 ? 'put' : 'patch',
        data:
          percent === 0
            ? { userId: user.userId, courseId: 'c', percent, status: 'in_progress' }
            : { percent },
      });
    }
    const outcomes = await user.device.push();
    expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 'applied'));
    await pullUntil(
      user.device,
      () => entityOf(user.device, user.scope, 'progress', entityId)?.data?.['percent'] === 20,
    );
    expect(entityOf(user.device, user.scope, 'progress', entityId)?.clock).toEqual({
      [`d:${user.device.credentials.deviceId}`]: 21,
    });
  });

  it('applies edits of one device that come in separate pushes without waiting for the projection', async () => {
    const user = await boundUser();
    const entityId = fresh('p');
    const statuses: string[] = [];
    for (let percent = 1; percent <= 5; percent += 1) {
      const data = { userId: user.userId, courseId: 'c', percent, status: 'in_progress' };
      user.device.write({ scope: user.scope, entityType: 'progress', entityId, op: 'put', data });
      statuses.push(...(await user.device.push()).map(({ status }) => status));
    }
    expect(statuses).toEqual(['applied', 'applied', 'applied', 'applied', 'applied']);
  });

  describe('append_only', () => {
    it('takes an append sent again under a new mutationId as the same entity', async () => {
      const user = await boundUser();
      appendStatements(user.device, user.scope, 1);
      const [mutation] = user.device.outbox;
      if (!mutation) throw new Error('nothing was written');
      await send(user.device, mutation);
      const [second] = await send(user.device, { ...mutation, mutationId: randomUUID(), sequence: 2 });
      expect(second?.status).toBe('applied');
      await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 1);
    });

    it.each(['put', 'patch', 'delete'] as const)('rejects %s', async (op) => {
      const user = await boundUser();
      const [entityId = ''] = appendStatements(user.device, user.scope, 1);
      await user.device.push();
      user.device.write({
        scope: user.scope,
        entityType: 'statement',
        entityId,
        op,
        data: op === 'delete' ? null : { id: entityId },
      });
      const [outcome] = await user.device.push();
      expect(outcome).toMatchObject({ status: 'rejected', code: 'append_only_violation' });
      expect(outcome?.current).toBeDefined();
    });
  });

  describe('lww', () => {
    const progress = async (): Promise<Bound & { other: DriverDevice; entityId: string }> => {
      const user = await boundUser();
      const other = await anotherDevice(user);
      const entityId = fresh('p');
      const data = { userId: user.userId, courseId: 'c', percent: 10, status: 'in_progress', lastPage: 'a' };
      const put = { scope: user.scope, entityType: 'progress', entityId, op: 'put', data } as const;
      user.device.write({ ...put, agoMs: minutes(9) });
      await user.device.push();
      for (const device of [user.device, other]) {
        await pullUntil(device, () => entityOf(device, user.scope, 'progress', entityId) !== undefined);
      }
      return { ...user, other, entityId };
    };

    it('lets disjoint fields both survive', async () => {
      const { device, other, scope, entityId } = await progress();
      device.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { percent: 50 } });
      other.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { lastPage: 'z' } });
      expect(await device.push()).toMatchObject([{ status: 'applied' }]);
      const [merged] = await other.push();
      expect(merged?.status).toBe('merged');
      expect(merged?.current?.data).toMatchObject({ percent: 50, lastPage: 'z' });
      await pullUntil(
        device,
        () => entityOf(device, scope, 'progress', entityId)?.data?.['lastPage'] === 'z',
      );
      expect(entityOf(device, scope, 'progress', entityId)?.data).toMatchObject({
        percent: 50,
        lastPage: 'z',
      });
    });

    it('gives the same field to the later time and keeps the loser in a ConflictRecord that the user pulls', async () => {
      const { device, other, scope, entityId } = await progress();
      const patch = { scope, entityType: 'progress', entityId, op: 'patch' } as const;
      device.write({ ...patch, data: { percent: 40 }, agoMs: minutes(2) });
      other.write({ ...patch, data: { percent: 65 }, agoMs: minutes(1) });
      expect(await other.push()).toMatchObject([{ status: 'applied' }]);
      const [lost] = await device.push();
      expect(lost).toMatchObject({ status: 'superseded', current: { data: { percent: 65 } } });
      const isRecord = (): boolean =>
        [...device.replica(scope).entities.values()].some(
          ({ entityType, data }) => entityType === 'conflict' && JSON.stringify(data).includes(entityId),
        );
      await pullUntil(device, isRecord);
      const record = [...device.replica(scope).entities.values()].find(
        ({ entityType }) => entityType === 'conflict',
      );
      expect(record?.data).toMatchObject({
        status: 'auto_resolved',
        entityId,
        theirs: { percent: 40 },
        decider: { kind: 'policy', policy: 'lww' },
      });
    });

    it('never lets a device from the future win for ever', async () => {
      const { device, other, scope, entityId } = await progress();
      device.clockOffsetMs = 10 * 365 * 86_400_000;
      device.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { percent: 40 } });
      await device.push();
      // A fast server answers within a millisecond; of two changes at one time the greater deviceId wins.
      await sleep(2);
      other.write({ scope, entityType: 'progress', entityId, op: 'patch', data: { percent: 65 } });
      expect(await other.push()).toMatchObject([{ status: 'merged', current: { data: { percent: 65 } } }]);
    });
  });

  it('holds a same-field collision for a person where the registration asks for review', async () => {
    const { device, other, scope, noteId } = await sharedNote();
    device.write({ scope, entityType: 'note', entityId: noteId, op: 'patch', data: { text: 'mine' } });
    other.write({ scope, entityType: 'note', entityId: noteId, op: 'patch', data: { text: 'yours' } });
    await device.push();
    const [held] = await other.push();
    expect(held).toMatchObject({ status: 'conflict', current: { data: { text: 'mine' } } });
    expect(held?.conflictId).toMatch(/^[0-9a-f-]{36}$/);
    await pullUntil(device, () => entityOf(device, scope, 'conflict', held?.conflictId ?? '') !== undefined);
    expect(entityOf(device, scope, 'conflict', held?.conflictId ?? '')?.data).toMatchObject({
      status: 'open',
    });
  });

  it('judges every mutation of a chain by a server change that it had not seen', async () => {
    const { tenantId, userId, device, scope, noteId } = await sharedNote();
    for (let round = 1; round <= 5; round += 1) {
      const text = `server ${round}`;
      await changeOnServer(platform().learning, tenantId, 'note', noteId, { userId, text, colour: 'white' });
      const chain = ['one', 'two'].map((own) =>
        device.write({ scope, entityType: 'note', entityId: noteId, op: 'patch', data: { text: own } }),
      );
      await device.push();
      const statusOf = ({ mutationId }: LocalMutation): string =>
        device.outcomes.get(mutationId)?.status ?? 'none';
      await pullUntil(device, () => chain.every((mutation) => statusOf(mutation) !== 'accepted'));
      expect(chain.map(statusOf)).toEqual(['conflict', 'conflict']);
      await pullUntil(device, () => entityOf(device, scope, 'note', noteId)?.data?.['text'] === text);
    }
  });

  it('rejects a server_authoritative change when the server changed since', async () => {
    const user = await boundUser();
    const [enrollmentId, courseId] = [fresh('e'), fresh('c')];
    const write = (status: string): Promise<void> =>
      changeOnServer(platform().learning, user.tenantId, 'enrollment', enrollmentId, {
        userId: user.userId,
        courseId,
        status,
      });
    await write('active');
    await pullUntil(
      user.device,
      () => entityOf(user.device, user.scope, 'enrollment', enrollmentId) !== undefined,
    );
    const data = { userId: user.userId, courseId, status: 'withdrawn' };
    user.device.write({
      scope: user.scope,
      entityType: 'enrollment',
      entityId: enrollmentId,
      op: 'put',
      data,
    });
    await write('completed');
    const [outcome] = await user.device.push();
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'server_changed',
      current: { data: { status: 'completed' } },
    });
  });

  it('keeps order along dependsOn and refuses what depends on a rejected mutation', async () => {
    const user = await boundUser();
    const refused = user.device.write({
      scope: user.scope,
      entityType: 'note',
      entityId: fresh('n'),
      op: 'put',
      data: { userId: 'x', text: 'x' },
    });
    const write = (dependsOn: string[]): LocalMutation =>
      user.device.write({
        scope: user.scope,
        entityType: 'note',
        entityId: fresh('n'),
        op: 'put',
        data: { userId: user.userId, text: 'y' },
        dependsOn,
      });
    const dependent = write([refused.mutationId]);
    write([dependent.mutationId]);
    write([]);
    const outcomes = await user.device.push();
    expect(outcomes.map(({ status, code }) => [status, code])).toEqual([
      ['rejected', 'forbidden'],
      ['rejected', 'dependency_failed'],
      ['rejected', 'dependency_failed'],
      ['applied', undefined],
    ]);
  });

  it('tells of an entity out of sight no more than that its id is taken', async () => {
    const [owner, stranger] = [await boundUser(), await boundUser()];
    const other = await boundUser(owner.tenantId);
    const entityId = fresh('n');
    const put = ({ device, scope, userId }: Bound, text: string): LocalMutation =>
      device.write({ scope, entityType: 'note', entityId, op: 'put', data: { userId, text } });
    put(owner, 'a secret of its owner');
    expect(await owner.device.push()).toMatchObject([{ status: 'applied' }]);
    const { mutationId } = put(other, 'of somebody else');
    const outcomeOf = () => other.device.outcomes.get(mutationId);
    await other.device.push();
    await pullUntil(other.device, () => outcomeOf()?.status === 'rejected');
    expect(outcomeOf()).toMatchObject({ code: 'forbidden', conflictId: expect.any(String) as string });
    expect(JSON.stringify(outcomeOf())).not.toContain('a secret');
    // Tenants have ids of their own.
    put(stranger, 'of another tenant');
    expect(await stranger.device.push()).toMatchObject([{ status: 'applied' }]);
  });

  it('stamps the actor of a statement from the token', async () => {
    const user = await boundUser();
    const [id = ''] = appendStatements(user.device, user.scope, 1);
    await user.device.push();
    await pullUntil(user.device, () => entityOf(user.device, user.scope, 'statement', id) !== undefined);
    expect(JSON.stringify(entityOf(user.device, user.scope, 'statement', id)?.data?.['actor'])).toContain(
      user.userId,
    );
  });

  it('issues a certificate when progress completes', async () => {
    const user = await boundUser();
    const data = { userId: user.userId, courseId: fresh('c'), percent: 100, status: 'completed' };
    user.device.write({ scope: user.scope, entityType: 'progress', entityId: fresh('p'), op: 'put', data });
    await user.device.push();
    const certificate = (): unknown =>
      [...user.device.replica(user.scope).entities.values()].find(
        ({ entityType }) => entityType === 'certificate',
      );
    await pullUntil(user.device, () => certificate() !== undefined);
    expect(certificate()).toMatchObject({ data: { userId: user.userId, courseId: data.courseId } });
  });
});
