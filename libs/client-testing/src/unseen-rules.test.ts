import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ConflictResponse, LocalMutation, Outcome, PullResponse, PushResponse } from '@sync/protocol';
import { type DeviceLink, HandClock, type TestServer, createTestServer } from './index.ts';

/** Rules of which the conformance kit shows a part at most: they need time, or two hands. */

const COURSE = 'course:c';
const QUARTER_OF_AN_HOUR_MS = 15 * 60_000;

let clock: HandClock;
let server: TestServer;
let link: DeviceLink;
let sequence: number;
beforeEach(() => {
  clock = new HandClock(Date.parse('2026-01-01T00:00:00Z'));
  server = createTestServer({ entities: { page: { policy: 'lww' } }, clock });
  link = server.device({ userId: 'u', deviceId: 'a' });
  server.grant('u', COURSE);
  sequence = 0;
});

async function call<T>(path: string, body: object): Promise<T> {
  const answer = await link.send<T>({ method: 'POST', path: `/sync/v1/${path}`, body, timeoutMs: 10_000 });
  if (!answer.ok) throw new Error(answer.detail);
  return answer.body;
}

function patch(text: string, change: Partial<LocalMutation> = {}): LocalMutation {
  const occurredAt = new Date(clock.now()).toISOString();
  const entity = { scope: COURSE, entityType: 'page', entityId: 'p' } as const;
  sequence += 1;
  return {
    ...{ mutationId: crypto.randomUUID(), sequence, ...entity, op: 'patch', data: { text }, occurredAt },
    ...change,
  };
}

async function push(...mutations: readonly LocalMutation[]): Promise<Outcome[]> {
  const sentAt = new Date(clock.now()).toISOString();
  return (await call<PushResponse>('push', { sentAt, mutations })).outcomes;
}

/** A page that somebody else has changed since the device saw it. */
async function collide(): Promise<Outcome | undefined> {
  server.seed('page', { p: { text: 'seen' } }, { scope: COURSE });
  clock.advance(1_000);
  const mine = patch('mine', { baseClock: { 's:server': 1 } });
  clock.advance(1_000);
  server.change('page', 'p', { text: 'a secret' });
  return (await push(mine))[0];
}

describe('a record of a scope that was withdrawn', () => {
  it('shows what its user wrote, and nothing of the server (CONFLICT-18)', async () => {
    const outcome = await collide();
    expect(outcome).toMatchObject({ status: 'superseded', current: { data: { text: 'a secret' } } });
    server.withdraw('u', COURSE);
    const path = `/sync/v1/conflicts/${outcome?.conflictId ?? ''}`;
    const shown = await link.send<ConflictResponse>({ method: 'GET', path, timeoutMs: 10_000 });
    const pulled = await call<PullResponse>('pull', {});
    expect(shown).toMatchObject({ ok: true, body: { conflict: { theirs: { text: 'mine' }, ours: null } } });
    expect(pulled.scopes[0]?.deltas).toMatchObject([{ entityType: 'conflict', data: { ours: null } }]);
    expect(pulled.outcomes).toMatchObject([{ current: { op: 'delete', clock: {} } }]);
    expect(JSON.stringify([shown, pulled])).not.toContain('a secret');
  });
});

describe('a mutation that waits', () => {
  const waiting = (change: Partial<LocalMutation> = {}): LocalMutation => {
    return patch('late', { dependsOn: [crypto.randomUUID()], ...change });
  };

  it('is refused after a quarter of an hour, with a record (PUSH-8)', async () => {
    server.seed('page', { p: { text: 'stands' } }, { scope: COURSE });
    expect(await push(waiting())).toMatchObject([{ status: 'accepted' }]);
    clock.advance(QUARTER_OF_AN_HOUR_MS - 1);
    expect((await call<PullResponse>('pull', {})).outcomes).toEqual([]);
    clock.advance(1);
    const { outcomes } = await call<PullResponse>('pull', {});
    expect(outcomes).toMatchObject([{ status: 'rejected', code: 'dependency_failed' }]);
    expect(server.conflicts()).toMatchObject([{ theirs: { text: 'late' }, ours: { text: 'stands' } }]);
  });

  it('is refused when its scope is withdrawn, with a record (PUSH-17)', async () => {
    const first = patch('first', { op: 'put', scope: 'user:u', entityId: 'q' });
    expect(await push(waiting({ dependsOn: [first.mutationId] }))).toMatchObject([{ status: 'accepted' }]);
    server.withdraw('u', COURSE);
    expect(await push(first)).toMatchObject([{ status: 'applied' }]);
    const { outcomes } = await call<PullResponse>('pull', {});
    const late = outcomes.find(({ status }) => status === 'rejected');
    expect(late?.code).toBe('scope_not_held');
    expect(server.conflicts()).toMatchObject([{ conflictId: late?.conflictId, theirs: { text: 'late' } }]);
  });
});

describe('a device that was restored from a backup', () => {
  it('has forgotten what it wrote under numbers that it uses again (PUSH-18)', async () => {
    server.seed('page', { p: { text: 'seen' } }, { scope: COURSE });
    const base = { 's:server': 1 };
    await push(patch('first', { baseClock: base }), patch('forgotten', { baseClock: base }));
    clock.advance(1_000);
    const [outcome] = await push(patch('new', { baseClock: base, sequence: 2 }));
    expect(outcome).toMatchObject({ status: 'merged', clock: { ...base, 'd:a': 3 } });
    expect(server.conflicts()).toMatchObject([{ fields: [{ ours: 'forgotten', theirs: 'new' }] }]);
  });
});

describe('pulls that wait side by side', () => {
  it('make room for a ninth once the oldest has waited for five seconds (PULL-21)', async () => {
    const { scopes } = await call<PullResponse>('pull', {});
    const body = { scopes: scopes.map(({ scope, cursor }) => ({ scope, cursor })), waitMs: 30_000 };
    let answered = 0;
    const pull = (): void => void call('pull', body).then(() => (answered += 1));
    for (let count = 0; count < 8; count += 1) pull();
    await new Promise((resolve) => setTimeout(resolve, 5));
    clock.advance(5_000);
    expect(answered).toBe(0);
    pull();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(answered).toBe(1);
    server.change('page', 'p', { text: 'news' }, { scope: COURSE });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(answered).toBe(9);
  });
});
