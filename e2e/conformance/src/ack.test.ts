import { randomUUID } from 'node:crypto';
import { changeOnServer } from '@sync/e2e-device';
import { type AckResponse, LIMITS, type Problem, type PullResponse, type PushResponse } from '@sync/protocol';
import {
  type Bound,
  anotherDevice,
  appendStatements,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
  rawPull,
} from './kit/platform.ts';

async function enrol({ tenantId, userId }: Bound, courseId: string, status: string): Promise<void> {
  await changeOnServer(platform().learning, tenantId, 'enrollment', `e-${courseId}-${userId}`, {
    userId,
    courseId,
    status,
  });
}

/** Waits until a pull lists exactly these scopes as revoked. */
async function waitForRevoked({ device }: Bound, revoked: readonly string[]): Promise<PullResponse> {
  for (let attempt = 0; attempt < 150; attempt += 1) {
    const answer = await device.call<PullResponse>('/sync/v1/pull', {});
    if (JSON.stringify(answer.revoked) === JSON.stringify(revoked)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`revoked never became ${revoked.join()}`);
}

describe('ack', () => {
  const ackOne = async (
    device: Bound['device'],
    scope: string,
    cursor: string,
  ): Promise<string | undefined> =>
    (await device.call<AckResponse>('/sync/v1/ack', { cursors: [{ scope, cursor }] })).cursors[0]?.status;

  it('advances a cursor, and says unchanged or stale to a repeated or late one', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 4);
    await user.device.push();
    const reader = await anotherDevice(user);
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 4);
    const early = await rawPull(reader, user.scope, null, 2);
    const late = await rawPull(reader, user.scope, early.cursor, 2);
    expect(await ackOne(reader, user.scope, late.cursor)).toBe('advanced');
    expect(await ackOne(reader, user.scope, late.cursor)).toBe('unchanged');
    expect(await ackOne(reader, user.scope, early.cursor)).toBe('stale');
    expect(await ackOne(reader, user.scope, late.cursor)).toBe('unchanged');
  });

  it('refuses a foreign cursor with its path', async () => {
    const user = await boundUser();
    const other = await anotherDevice(user);
    const { cursor } = await rawPull(user.device, user.scope, null);
    const answer = await other.send<{ code: string; errors: { path: string }[] }>('/sync/v1/ack', {
      cursors: [{ scope: user.scope, cursor }],
    });
    expect([answer.status, answer.body.code, answer.body.errors[0]?.path]).toEqual([
      400,
      'cursor_invalid',
      '/cursors/0/cursor',
    ]);
  });

  it('repairs a digest mismatch with a full resync of that scope', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 2);
    await user.device.push();
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 2);
    const { cursor } = user.device.replica(user.scope);
    await user.device.call('/sync/v1/ack', {
      cursors: [{ scope: user.scope, cursor, digest: { count: 1, hash: '0'.repeat(64) } }],
    });
    const answer = await user.device.call<PullResponse>('/sync/v1/pull', {
      scopes: [{ scope: user.scope, cursor }],
    });
    const directed = answer.directives.some(({ scopes }) => scopes.includes(user.scope));
    expect(directed || answer.scopes[0]?.reset === true).toBe(true);
  });
});

/** A device that has pulled everything, and acked nothing: its cursor, and the outcomes of its push. */
async function unacked(): Promise<Bound & { readonly cursor: string; readonly outcomes: string[] }> {
  const user = await boundUser();
  const { device, scope } = user;
  appendStatements(device, scope, 2);
  const outcomes = (await device.push()).map(({ mutationId }) => mutationId);
  for (let attempt = 0; attempt < 150; attempt += 1) {
    const { cursor, digest } = await rawPull(device, scope, null);
    if (digest?.count === 2) return { ...user, cursor, outcomes };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('what was pushed never came');
}

/** What a pull says that a device has not acked. */
async function waiting({ device }: Bound): Promise<string[]> {
  const { outcomes } = await device.call<PullResponse>('/sync/v1/pull', {});
  return outcomes.map(({ mutationId }) => mutationId).sort();
}

/** A push or a pull that is good by itself. */
const REQUESTS = {
  push: ({ device, scope }: Bound): object => {
    appendStatements(device, scope, 1);
    return { sentAt: new Date().toISOString(), mutations: device.outbox.splice(0) };
  },
  pull: ({ scope }: Bound): object => ({ scopes: [{ scope, cursor: null }] }),
};
const PATHS = ['push', 'pull'] as const;

describe('an ack inside of a push or a pull', () => {
  it.each(PATHS)('is carried out and answered, and is harmless to repeat: %s', async (path) => {
    const user = await unacked();
    const { device, scope, cursor, outcomes } = user;
    const body = { ...REQUESTS[path](user), ack: { cursors: [{ scope, cursor }], outcomes } };
    const ask = (): Promise<PushResponse | PullResponse> => device.call(`/sync/v1/${path}`, body);
    expect(await waiting(user)).toEqual([...outcomes].sort());
    const first = await ask();
    expect(first.ack).toEqual({ cursors: [{ scope, status: 'advanced' }] });
    const own = path === 'push' ? first.outcomes.map(({ mutationId }) => mutationId) : [];
    expect(await waiting(user)).toEqual(own);
    const again = await ask();
    expect(again.ack).toEqual({ cursors: [{ scope, status: 'unchanged' }] });
    expect(again.outcomes).toEqual(first.outcomes);
  });

  it('comes before the pull around it', async () => {
    const { device, scope, cursor, outcomes } = await unacked();
    const digest = { count: 7, hash: '0'.repeat(64) };
    const ack = { cursors: [{ scope, cursor, digest }], outcomes };
    const body = { scopes: [{ scope, cursor }], ack };
    const answer = await device.call<PullResponse>('/sync/v1/pull', body);
    expect(answer.outcomes).toEqual([]);
    expect(answer.scopes).toMatchObject([{ scope, reset: true }]);
  });

  it.each(PATHS)('refuses the whole request where it is wrong: %s', async (path) => {
    const user = await unacked();
    const { device, scope, cursor, outcomes } = user;
    const other = await anotherDevice(user);
    const { cursor: foreign } = await rawPull(other, scope, null);
    const one = { scope, cursor };
    const tooMany = Array.from({ length: LIMITS.outcomesPerAck + 1 }, () => randomUUID());
    for (const [ack, code, at] of [
      [{ outcomes, cursors: [{ scope, cursor: foreign }] }, 'cursor_invalid', '/ack/cursors/0/cursor'],
      [{ outcomes, cursors: [one, one] }, 'schema_invalid', '/ack/cursors/1/scope'],
      [{ outcomes: [...outcomes, 'x'] }, 'schema_invalid', `/ack/outcomes/${outcomes.length}`],
      [{ outcomes: tooMany }, 'limit_exceeded', '/ack/outcomes'],
      [{ outcomes, purged: ['x'] }, 'schema_invalid', '/ack/purged/0'],
      [null, 'schema_invalid', '/ack'],
    ] as const) {
      const body = { ...REQUESTS[path](user), ack };
      const answer = await device.send<Problem>(`/sync/v1/${path}`, body);
      expect([answer.status, answer.body.code]).toEqual([400, code]);
      expect(answer.body.errors).toContainEqual(expect.objectContaining({ path: at }));
    }
    expect(await waiting(user)).toEqual([...outcomes].sort());
    expect((await rawPull(device, scope, null)).digest?.count).toBe(2);
  });

  it.each([
    ['push', { sentAt: 'yesterday' }],
    ['pull', { limit: 0 }],
    ['pull', { scopes: [{ scope: 'user:x', cursor: 'forged' }] }],
  ] as const)('is not carried out where the rest is wrong: %s', async (path, wrong) => {
    const user = await unacked();
    const { device, outcomes } = user;
    const body = { ...REQUESTS[path](user), ...wrong, ack: { outcomes } };
    expect(await device.send(`/sync/v1/${path}`, body)).toMatchObject({ status: 400 });
    expect(await waiting(user)).toEqual([...outcomes].sort());
  });
});

describe('scope grants', () => {
  it('grants course:<id> by enrolment, revokes it by withdrawal until the purge is acked, and grants it again', async () => {
    const user = await boundUser();
    const courseId = fresh('c');
    const course = `course:${courseId}`;
    await changeOnServer(platform().learning, user.tenantId, 'bundle', fresh('b'), {
      courseId,
      title: 'T',
      files: [],
    });
    await enrol(user, courseId, 'active');
    await pullUntil(user.device, () => user.device.scopes.get(course)?.digest.count === 1);

    await enrol(user, courseId, 'withdrawn');
    await waitForRevoked(user, [course]);
    const asked = await user.device.call<PullResponse>('/sync/v1/pull', {
      scopes: [{ scope: course, cursor: null }],
    });
    expect([asked.revoked, asked.scopes]).toEqual([[course], []]);
    expect((await waitForRevoked(user, [course])).scopes.map(({ scope }) => scope)).toEqual([user.scope]);

    await user.device.purge([course]);
    await waitForRevoked(user, []);

    await enrol(user, courseId, 'completed');
    await pullUntil(user.device, () => user.device.scopes.get(course)?.digest.count === 1);
  });

  it('holds a course until both of its enrolments are taken back', async () => {
    const user = await boundUser();
    const course = `course:${fresh('c')}`;
    const set = (entityId: string, status: string): Promise<void> =>
      changeOnServer(platform().learning, user.tenantId, 'enrollment', entityId, {
        userId: user.userId,
        courseId: course.slice('course:'.length),
        status,
      });
    const [first, second] = [fresh('e'), fresh('e')];
    for (const entityId of [first, second]) await set(entityId, 'active');
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 2);
    await set(first, 'withdrawn');
    const isWithdrawn = (): boolean =>
      entityOf(user.device, user.scope, 'enrollment', first)?.data?.['status'] === 'withdrawn';
    await pullUntil(user.device, isWithdrawn);
    const answer = await user.device.call<PullResponse>('/sync/v1/pull', {});
    expect(answer.scopes.map(({ scope }) => scope).sort()).toEqual([course, user.scope].sort());
    await set(second, 'withdrawn');
    await waitForRevoked(user, [course]);
  });

  it('shows a course to a second learner only through an enrolment of their own', async () => {
    const [learner, stranger] = [await boundUser('t-shared'), await boundUser('t-shared')];
    const courseId = fresh('c');
    await changeOnServer(platform().learning, 't-shared', 'bundle', fresh('b'), {
      courseId,
      title: 'T',
      files: [],
    });
    await enrol(learner, courseId, 'active');
    await pullUntil(
      learner.device,
      () => learner.device.scopes.get(`course:${courseId}`)?.digest.count === 1,
    );
    const answer = await stranger.device.call<PullResponse>('/sync/v1/pull', {
      scopes: [{ scope: `course:${courseId}`, cursor: null }],
    });
    expect([answer.revoked, answer.scopes]).toEqual([[`course:${courseId}`], []]);
  });
});
