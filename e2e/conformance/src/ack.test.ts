import { changeOnServer } from '@sync/e2e-device';
import type { AckResponse, PullResponse } from '@sync/protocol';
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
