import { DriverDevice, changeOnServer, deleteOnServer } from '@sync/e2e-device';
import type { PullResponse, PushResponse, RemoteDelta } from '@sync/protocol';
import {
  anotherDevice,
  appendStatements,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
  rawPull,
} from './kit/platform.ts';

/** Any request is answered by then, and a waiting pull so long after its `waitMs` (COMMON-20). */
const ANSWERED_WITHIN_MS = 20_000;

describe('pull', () => {
  it('brings 100 appends to the second device once each, in order', async () => {
    const user = await boundUser();
    const reader = await anotherDevice(user);
    const ids = appendStatements(user.device, user.scope, 100);
    const outcomes = await user.device.push();
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => 'applied'));
    await pullUntil(reader, () => reader.scopes.get(user.scope)?.digest.count === 100);
    const log = reader.replica(user.scope).log.map(({ entityId }) => entityId);
    expect(log).toEqual(ids);
  });

  it('keeps the limit exactly and continues where it stopped', async () => {
    const user = await boundUser();
    const ids = appendStatements(user.device, user.scope, 25);
    await user.device.push();
    const reader = await anotherDevice(user);
    await pullUntil(reader, () => reader.replica(user.scope).digest.count === 25);
    const seen: string[] = [];
    let cursor: string | null = null;
    const sizes: number[] = [];
    for (let hasMore = true; hasMore;) {
      const page: PullResponse['scopes'][number] = await rawPull(reader, user.scope, cursor, 10);
      expect(page.digest !== undefined).toBe(!page.hasMore);
      sizes.push(page.deltas.length);
      seen.push(...page.deltas.map(({ entityId }) => entityId));
      ({ cursor, hasMore } = page);
    }
    expect(sizes).toEqual([10, 10, 5]);
    expect(seen).toEqual(ids);
  });

  it('counts the limit over all scopes together', async () => {
    const user = await boundUser();
    const courseId = fresh('c');
    await enrol(user, courseId, 'active');
    for (let index = 0; index < 3; index += 1) {
      await changeOnServer(platform().learning, user.tenantId, 'bundle', fresh('b'), {
        courseId,
        title: 'T',
        files: [],
      });
    }
    appendStatements(user.device, user.scope, 5);
    await user.device.push();
    const course = `course:${courseId}`;
    await pullUntil(
      user.device,
      () =>
        user.device.scopes.get(course)?.digest.count === 3 &&
        user.device.scopes.get(user.scope)?.digest.count === 6,
    );
    const answer = await user.device.call<PullResponse>('/sync/v1/pull', {
      scopes: [
        { scope: course, cursor: null },
        { scope: user.scope, cursor: null },
      ],
      limit: 4,
    });
    expect(answer.scopes.reduce((sum, { deltas }) => sum + deltas.length, 0)).toBe(4);
    expect(answer.scopes.map(({ scope }) => scope)).toEqual([course, user.scope]);
    expect(answer.scopes.map(({ hasMore }) => hasMore)).toEqual([false, true]);
  });

  it('resets on a null cursor only, on its first page only', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 5);
    await user.device.push();
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 5);
    const first = await rawPull(user.device, user.scope, null, 2);
    const second = await rawPull(user.device, user.scope, first.cursor, 2);
    expect([first.reset, second.reset]).toEqual([true, false]);
  });

  it('answers a digest equal to the one computed by its definition', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 30);
    const noteId = fresh('n');
    user.device.write({
      scope: user.scope,
      entityType: 'note',
      entityId: noteId,
      op: 'put',
      data: { userId: user.userId, text: 'one' },
    });
    user.device.write({
      scope: user.scope,
      entityType: 'note',
      entityId: noteId,
      op: 'patch',
      data: { text: 'two' },
    });
    await user.device.push();
    const reader = await anotherDevice(user);
    await pullUntil(
      reader,
      () =>
        reader.replica(user.scope).digest.count === 31 &&
        entityOf(reader, user.scope, 'note', noteId)?.data?.['text'] === 'two',
    );
    const replica = reader.replica(user.scope);
    expect(replica.digest).toEqual(replica.serverDigest);
    expect(replica.serverDigest?.count).toBe(31);
  });

  it('sends a deletion, leaves it out of the digest, and brings nothing deleted to a new device', async () => {
    const user = await boundUser();
    const noteId = fresh('n');
    user.device.write({
      scope: user.scope,
      entityType: 'note',
      entityId: noteId,
      op: 'put',
      data: { userId: user.userId, text: 'x' },
    });
    await user.device.push();
    await pullUntil(user.device, () => entityOf(user.device, user.scope, 'note', noteId) !== undefined);
    await deleteOnServer(platform().learning, user.tenantId, 'note', noteId);
    await pullUntil(user.device, () => entityOf(user.device, user.scope, 'note', noteId) === undefined);
    expect(user.device.replica(user.scope).log.at(-1)).toMatchObject({
      op: 'delete',
      data: null,
      entityId: noteId,
    });
    const late = await anotherDevice(user);
    await late.sync();
    expect(late.replica(user.scope).log).toEqual([]);
    expect(late.replica(user.scope).serverDigest?.count).toBe(0);
  });

  it('sends the deletion of what came and went in one push', async () => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    await device.sync();
    const note = { scope, entityType: 'note', entityId: fresh('n') };
    device.write({ ...note, op: 'put', data: { userId, text: 'x' } });
    device.write({ ...note, op: 'delete' });
    expect((await device.push()).map(({ status }) => status)).toEqual(['applied', 'applied']);
    const own = `d:${device.credentials.deviceId}`;
    const last = (): RemoteDelta | undefined => device.replica(scope).log.at(-1);
    await pullUntil(device, () => last()?.op === 'delete');
    expect(last()).toMatchObject({ op: 'delete', entityId: note.entityId, clock: { [own]: 2 } });
    expect(device.replica(scope).serverDigest).toMatchObject({ count: 0 });
  });

  it.each([
    ['forged', (cursor: string) => `${cursor.slice(0, -2)}${cursor.endsWith('AA') ? 'BB' : 'AA'}`],
    ['garbage', () => 'bm9wZQ'],
  ])('refuses a %s cursor with its path', async (_name, change) => {
    const user = await boundUser();
    const { cursor } = await rawPull(user.device, user.scope, null);
    const answer = await user.device.send<{ code: string; errors: { path: string }[] }>('/sync/v1/pull', {
      scopes: [{ scope: user.scope, cursor: change(cursor) }],
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'cursor_invalid']);
    expect(answer.body.errors[0]?.path).toBe('/scopes/0/cursor');
  });

  it('refuses a cursor of another device, of another user and of another scope', async () => {
    const user = await boundUser();
    const courseId = fresh('c');
    await enrol(user, courseId, 'active');
    await pullUntil(user.device, () => user.device.scopes.has(`course:${courseId}`));
    const { cursor } = await rawPull(user.device, user.scope, null);
    const stranger = await boundUser(user.tenantId);
    const attempts: [DriverDevice, string][] = [
      [await anotherDevice(user), user.scope],
      [stranger.device, stranger.scope],
      [user.device, `course:${courseId}`],
    ];
    for (const [device, scope] of attempts) {
      const answer = await device.send<{ code: string }>('/sync/v1/pull', { scopes: [{ scope, cursor }] });
      expect([answer.status, answer.body.code]).toEqual([400, 'cursor_invalid']);
    }
  });

  it('lists every scope that is not held as revoked and tells nothing else about it', async () => {
    const owner = await boundUser();
    const stranger = await boundUser(owner.tenantId);
    appendStatements(owner.device, owner.scope, 1);
    await owner.device.push();
    const asked = [owner.scope, 'course:does-not-exist', `user:${fresh('nobody')}`];
    const answer = await stranger.device.call<PullResponse>('/sync/v1/pull', {
      scopes: asked.map((scope) => ({ scope, cursor: null })),
    });
    expect([...answer.revoked].sort()).toEqual([...asked].sort());
    expect(answer.scopes).toEqual([]);
  });

  it('keeps tenants apart even for equal user ids', async () => {
    const userId = fresh('u');
    const [one, two] = [await boundUser(fresh('t'), userId), await boundUser(fresh('t'), userId)];
    appendStatements(one.device, one.scope, 3);
    await one.device.push();
    await pullUntil(one.device, () => one.device.replica(one.scope).digest.count === 3);
    expect((await rawPull(two.device, two.scope, null)).deltas).toEqual([]);
  });

  it('answers everything granted when no scope is named', async () => {
    const user = await boundUser();
    const courseId = fresh('c');
    await enrol(user, courseId, 'active');
    await pullUntil(user.device, () => user.device.scopes.has(`course:${courseId}`));
    const answer = await user.device.call<PullResponse>('/sync/v1/pull', {});
    expect(answer.scopes.map(({ scope }) => scope).sort()).toEqual([`course:${courseId}`, user.scope].sort());
  });

  it('names scopes that the device was never served, until it asks for them', async () => {
    const user = await boundUser();
    await user.device.sync();
    const course = `course:${fresh('c')}`;
    await enrol(user, course.slice('course:'.length), 'active');
    const pull = async (scopes: readonly string[]): Promise<readonly string[]> => {
      const asked = scopes.map((scope) => ({ scope, cursor: null }));
      return (await user.device.call<PullResponse>('/sync/v1/pull', { scopes: asked })).granted ?? [];
    };
    let granted = await pull([user.scope]);
    while (granted.length === 0) granted = await pull([user.scope]);
    expect(granted).toEqual([course]);
    expect(await pull([user.scope, course])).toEqual([]);
    expect(await pull([user.scope])).toEqual([]);
  });

  it('wakes a long poll as soon as something is new', async () => {
    const user = await boundUser();
    const reader = await anotherDevice(user);
    await reader.sync();
    const waiting = reader.pullOnce({ waitMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [id] = appendStatements(user.device, user.scope, 1);
    await user.device.push();
    const answer = await waiting;
    expect(answer.scopes.flatMap(({ deltas }) => deltas.map(({ entityId }) => entityId))).toEqual([id]);
  });

  it('keeps long polls of one device waiting side by side', async () => {
    const user = await boundUser();
    const reader = await anotherDevice(user);
    await reader.sync();
    const windows = [1, 2, 3].map(() => reader.pullOnce({ waitMs: 20_000 }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [id] = appendStatements(user.device, user.scope, 1);
    await user.device.push();
    for (const answer of await Promise.all(windows)) {
      expect(answer.scopes.flatMap(({ deltas }) => deltas.map(({ entityId }) => entityId))).toEqual([id]);
    }
  });

  it('ends a long poll after waitMs with an empty answer', async () => {
    const { device } = await boundUser();
    await device.sync();
    const scopes = [...device.scopes].map(([scope, { cursor }]) => ({ scope, cursor }));
    const signal = AbortSignal.timeout(400 + ANSWERED_WITHIN_MS);
    const body = { scopes, waitMs: 400 };
    const answer = await device.send<PullResponse>('/sync/v1/pull', body, { signal });
    expect(answer.body.scopes.flatMap(({ deltas }) => deltas)).toEqual([]);
  });

  it('refuses more waiting pulls of a device than sixteen, and says when to come back', async () => {
    const { device } = await boundUser();
    await device.sync();
    const over = new AbortController();
    const options = { signal: over.signal };
    const scopes = [...device.scopes].map(([scope, { cursor }]) => ({ scope, cursor }));
    const pulls = Array.from({ length: 20 }, async () => {
      const body = { scopes, waitMs: 20_000 };
      const answer = await device.send<{ code?: string; retryable?: boolean }>(
        '/sync/v1/pull',
        body,
        options,
      );
      if (answer.status === 200) throw new Error('it was let in');
      return answer;
    });
    const { status, headers, body } = await Promise.any(pulls);
    over.abort();
    await Promise.allSettled(pulls);
    expect(body).toMatchObject({ status: 429, code: 'rate_limited', retryable: true });
    expect([status, headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^[1-9]\d*$/)]);
  });

  it('refuses a scope that is named twice, with its path', async () => {
    const { device, scope } = await boundUser();
    const answer = await device.send<{ code: string; errors?: { path: string }[] }>('/sync/v1/pull', {
      scopes: [{ scope, cursor: null }, { scope }],
    });
    const { code, errors } = answer.body;
    expect([answer.status, code, errors?.[0]?.path]).toEqual([400, 'schema_invalid', '/scopes/1/scope']);
  });

  it('repeats terminal outcomes until they are acked', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 2);
    const pushed = await user.device.push();
    const ids = pushed.map(({ mutationId }) => mutationId);
    const idsOf = ({ outcomes }: PullResponse): string[] =>
      outcomes.map(({ mutationId }) => mutationId).sort();
    expect(idsOf(await user.device.pullOnce())).toEqual([...ids].sort());
    expect(idsOf(await user.device.pullOnce())).toEqual([...ids].sort());
    await user.device.call('/sync/v1/ack', { outcomes: ids.slice(0, 1) });
    expect(idsOf(await user.device.pullOnce())).toEqual(ids.slice(1));
    await user.device.call('/sync/v1/ack', { outcomes: ids });
    expect(idsOf(await user.device.pullOnce())).toEqual([]);
  });

  it('carries what the server itself changes, with the owner’s entry in the clock', async () => {
    const user = await boundUser();
    const entityId = fresh('n');
    await changeOnServer(platform().learning, user.tenantId, 'note', entityId, {
      userId: user.userId,
      text: 'from the server',
    });
    await pullUntil(user.device, () => entityOf(user.device, user.scope, 'note', entityId) !== undefined);
    expect(entityOf(user.device, user.scope, 'note', entityId)).toMatchObject({
      op: 'put',
      clock: { 's:learning': 1 },
      schemaVersion: 1,
      data: { text: 'from the server' },
    });
  });

  it('compresses the answer when asked to', async () => {
    const user = await boundUser();
    appendStatements(user.device, user.scope, 50);
    await user.device.push();
    await pullUntil(user.device, () => user.device.replica(user.scope).digest.count === 50);
    // fetch asks for gzip and br by itself.
    const answer = await user.device.send<PullResponse>('/sync/v1/pull', {
      scopes: [{ scope: user.scope, cursor: null }],
    });
    expect(['gzip', 'br']).toContain(answer.headers.get('content-encoding'));
    expect(answer.body.scopes[0]?.deltas.length).toBe(50);
  });

  it('gives a fresh token of the same device the same data', async () => {
    const user = await boundUser();
    const answer = await fetch(
      `${platform().identity}/dev/tenants/${user.tenantId}/users/${user.userId}/tokens`,
      { method: 'POST' },
    );
    const { accessToken } = (await answer.json()) as { accessToken: string };
    const again = new DriverDevice(platform().gateway, { ...user.device.credentials, accessToken });
    expect(
      (await again.send<PushResponse>('/sync/v1/push', { sentAt: new Date().toISOString(), mutations: [] }))
        .status,
    ).toBe(200);
  });
});

async function enrol(
  user: { tenantId: string; userId: string },
  courseId: string,
  status: string,
): Promise<void> {
  await changeOnServer(platform().learning, user.tenantId, 'enrollment', `e-${courseId}`, {
    userId: user.userId,
    courseId,
    status,
  });
}
