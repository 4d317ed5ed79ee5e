import { randomBytes, randomUUID } from 'node:crypto';
import { RemoteError, Responder } from '@sync/messaging';
import {
  type ConflictRecord,
  type ConflictResolveReply,
  type ConflictResolveRequest,
  type ConflictsRequest,
  type OwnerPushRequest,
  PLATFORM_TENANT,
  type SyncRegistration,
  subjects,
} from '@sync/protocol';
import { silent } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { piecesRead } from '../testing/pieces-read.ts';
import type { Answer } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

const NOTES: SyncRegistration = {
  service: 'learning',
  entityTypes: [
    {
      entityType: 'note',
      schemaVersion: 4,
      policy: 'lww',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    },
  ],
};

const SESSIONS = 4;

/** What the gateway adds to a resolver's answers, with a resolver that says what the test wants. */
describe('conflicts at the gateway', () => {
  let rig: GatewayRig;
  let device: TestDevice;
  let noteId: string;
  let answer: (request: ConflictResolveRequest) => ConflictResolveReply | Promise<ConflictResolveReply>;
  let listed: ConflictsRequest[];
  const asked: ConflictResolveRequest[] = [];
  const responders: Responder[] = [];

  const answerOn = (subject: string, handle: (body: never) => unknown): void => {
    const reply = async (body: unknown): Promise<unknown> => handle(body as never);
    responders.push(new Responder({ nats: rig.nats, subject, queue: 'test', handle: reply, logger: silent }));
  };

  const record = (changes: Partial<ConflictRecord> = {}): ConflictRecord => ({
    ...{ conflictId: randomUUID(), status: 'open', policy: 'lww', mutationId: randomUUID() },
    ...{ userId: device.userId, deviceId: device.deviceId, scope: `user:${device.userId}` },
    ...{
      entityType: 'note',
      entityId: noteId,
      op: 'patch',
      base: null,
      ours: { text: 'a' },
      theirs: { text: 'b' },
    },
    ...{
      theirsUpdate: null,
      clocks: { ours: {}, theirs: {} },
      fields: [],
      blocks: [],
      decision: null,
      decider: null,
    },
    ...{ detectedAt: '2026-01-01T00:00:00.000Z', resolvedAt: null, history: [], suggestions: [] },
    ...changes,
  });

  const resolve = (body: object = {}): Promise<Answer> =>
    rig.call(device, 'resolve-conflict', {
      conflictId: randomUUID(),
      resolution: { kind: 'keep_client' },
      expectedClock: { 's:learning': 1 },
      ...body,
    });

  beforeAll(async () => {
    rig = await GatewayRig.start({ DATABASE_POOL_SIZE: String(SESSIONS) });
    const token = await rig.identity.token(PLATFORM_TENANT, 'operator', { roles: ['sync-operator'] });
    await fetch(new URL('/admin/v1/registrations/learning', rig.url), {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(NOTES),
    });
    answerOn(subjects.conflictShow, () => ({ conflict: record() }));
    answerOn(subjects.conflictResolve, (request: ConflictResolveRequest) => {
      asked.push(request);
      return answer(request);
    });
    answerOn(subjects.conflicts, (request: ConflictsRequest) => {
      listed.push(request);
      return { conflicts: [], next: 'more' };
    });
    await rig.nats.flush();
  });
  afterAll(async () => {
    for (const responder of responders) await responder.stop();
    await rig.stop();
  });
  beforeEach(async () => {
    [asked.length, listed] = [0, []];
    device = await rig.device();
    noteId = `n-${randomUUID()}`;
    answer = () => ({ kind: 'moved' });
  });

  const put = async (data: Record<string, unknown>): Promise<void> => {
    rig.projector.put('t1', `user:${device.userId}`, noteId, data);
    await rig.ingest();
  };

  it('are known by their ids in either case', async () => {
    const conflictId = randomUUID();
    const suggestionId = randomUUID();
    const shown = await rig.call(device, `conflicts/${conflictId.toUpperCase()}`, null, {
      method: 'GET',
    });
    expect(shown.status).toBe(200);
    await resolve({
      conflictId: conflictId.toUpperCase(),
      resolution: { kind: 'accept_suggestion', suggestionId: suggestionId.toUpperCase() },
    });
    expect(asked).toMatchObject([{ conflictId, resolution: { suggestionId } }]);
  });

  it('tell the resolver what the user may see of the entity, and where its owner is', async () => {
    await put({ text: 'server' });
    answer = () => ({ kind: 'resolved', conflict: record({ status: 'resolved' }) });
    expect(await resolve()).toMatchObject({ status: 200, body: { conflict: { status: 'resolved' } } });
    expect(asked).toMatchObject([
      {
        tenantId: 't1',
        userId: device.userId,
        deviceId: device.deviceId,
        resolution: { kind: 'keep_client' },
        expectedClock: { 's:learning': 1 },
        target: {
          service: 'learning',
          pushSubject: subjects.push('learning', 'note'),
          schemaVersion: 4,
          policy: 'lww',
          clock: { 's:learning': 1 },
          data: { text: 'server' },
        },
      },
    ]);
  });

  it('show nothing of an entity that the user does not see: it is one that does not exist', async () => {
    await resolve();
    rig.projector.put('t1', `user:${device.userId}`, noteId).delete('t1', `user:${device.userId}`, noteId);
    await rig.ingest();
    await resolve();
    expect(asked.map(({ target }) => target)).toMatchObject([
      { revision: 0, clock: {}, data: null },
      { clock: { 's:learning': 2 }, data: null },
    ]);
  });

  it('are answered with what the entity moved to, as far as the projection shows it by then', async () => {
    await put({ text: 'seen' });
    answer = async () => {
      await put({ text: 'newer' });
      return { kind: 'moved' };
    };
    expect(await resolve()).toMatchObject({
      status: 409,
      body: { code: 'conflict_moved', current: { clock: { 's:learning': 2 }, data: { text: 'newer' } } },
    });
    answer = () => ({ kind: 'moved' });
    // The projection stays behind: then it is what the user can see.
    expect(await resolve({ expectedClock: { 's:learning': 2 } })).toMatchObject({
      body: { code: 'conflict_moved', current: { data: { text: 'newer' } } },
    });
  });

  it('read a large entity a few times at most while they wait for it to move', async () => {
    await put({ text: randomBytes(100_000).toString('hex') });
    const pieces = (work: () => Promise<unknown>): Promise<number> => {
      return piecesRead(rig.gateway.foundation.database, SESSIONS, work);
    };
    answer = () => ({ kind: 'busy' });
    const once = await pieces(() => resolve());
    expect(once).toBeGreaterThan(0);
    answer = () => ({ kind: 'moved' });
    const waiting = await pieces(async () => {
      expect(await resolve()).toMatchObject({ body: { code: 'conflict_moved' } });
    });
    expect(waiting).toBeLessThan(once * 5);
  });

  it('are not answered with the entity as it was before a change of which the device was told', async () => {
    await put({ text: 'seen' });
    const mutationId = randomUUID();
    const clock = { 's:learning': 2 };
    answerOn(subjects.push('learning', 'note'), ({ mutations: [mutation] }: OwnerPushRequest) => ({
      results: [{ mutationId, status: 'applied', revision: (mutation?.expectedRevision ?? 0) + 1, clock }],
    }));
    await rig.nats.flush();
    const address = { scope: `user:${device.userId}`, entityType: 'note', entityId: noteId };
    const baseClock = { 's:learning': 1 };
    const change = { ...address, op: 'patch', data: { text: 'own' }, baseClock, schemaVersion: 4 };
    const occurredAt = new Date().toISOString();
    const mutations = [{ mutationId, sequence: 1, occurredAt, ...change }];
    const pushed = await rig.call(device, 'push', { sentAt: occurredAt, mutations });
    expect(pushed).toMatchObject({ body: { outcomes: [{ status: 'applied', clock }] } });
    const behind = await resolve();
    expect(behind).toMatchObject({ status: 503, body: { code: 'unavailable', retryable: true } });
    expect(behind.headers.get('retry-after')).toBe('2');
    await put({ text: 'own' });
    expect(await resolve()).toMatchObject({
      status: 409,
      body: { code: 'conflict_moved', current: { clock, data: { text: 'own' } } },
    });
  });

  it.each<[ConflictResolveReply, number, object]>([
    [{ kind: 'busy' }, 503, { code: 'unavailable', retryable: true }],
    [
      { kind: 'rejected', code: 'data_invalid', message: '/text is rude' },
      422,
      { code: 'resolution_rejected', ownerCode: 'data_invalid', detail: '/text is rude', retryable: false },
    ],
    [
      { kind: 'suggestion_not_ready', status: 'failed' },
      409,
      { code: 'suggestion_not_ready', suggestionStatus: 'failed' },
    ],
  ])('hand on %j', async (reply, status, body) => {
    answer = () => reply;
    const answered = await resolve();
    expect(answered).toMatchObject({ status, body });
    expect(answered.headers.get('retry-after')).toBe(status === 503 ? '2' : null);
  });

  it('are unavailable while the resolver is, and not found when it says so', async () => {
    answer = () => {
      throw new RemoteError('overloaded', 'too many');
    };
    expect(await resolve()).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    answer = () => {
      throw new RemoteError('not_found', 'No such conflict');
    };
    expect(await resolve()).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('refuse what cannot be stored, and what is too large, before anybody is asked', async () => {
    const merged = (data: object): object => ({ resolution: { kind: 'merged', data } });
    expect(await resolve(merged({ text: 'x'.repeat(262_144) }))).toMatchObject({
      status: 400,
      body: { code: 'limit_exceeded', errors: [{ path: '/resolution/data' }] },
    });
    expect(await resolve({ resolution: { kind: 'merged', update: 'AAAA'.repeat(131_073) } })).toMatchObject({
      body: { code: 'limit_exceeded', errors: [{ path: '/resolution/update' }] },
    });
    expect(await resolve(merged({ text: 'nul \0' }))).toMatchObject({
      status: 400,
      body: { code: 'schema_invalid', errors: [{ path: '/resolution/data/text' }] },
    });
    expect(asked).toEqual([]);
  });

  it('are listed for the caller, whatever else the query says', async () => {
    const path = 'conflicts?status=open&entityType=note&limit=3&cursor=abc&userId=u2&tenantId=t2';
    const page = await rig.call(device, path, null, { method: 'GET' });
    expect(page).toMatchObject({ status: 200, body: { conflicts: [], next: 'more' } });
    expect(listed).toEqual([
      {
        ...{
          tenantId: 't1',
          userId: device.userId,
          status: 'open',
          entityType: 'note',
          limit: 3,
          cursor: 'abc',
        },
      },
    ]);
  });
});
