import { randomUUID } from 'node:crypto';
import { Responder } from '@sync/messaging';
import {
  type ConflictRecord,
  type ConflictResolveReply,
  type ConflictResolveRequest,
  type PullResponse,
  type PushResponse,
  type RemoteDelta,
  type SyncRegistration,
  PLATFORM_TENANT,
  subjects,
} from '@sync/protocol';
import { silent } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';

/** What a user sees of conflicts about entities of a scope that was taken from them (CONFLICT-18). */
const SCOPE = 'course:c1';
const OMITTED = ['decision', 'fields', 'blocks', 'base', 'ours', 'suggestions'];
const registrationOf = (service: string, entityType: string): SyncRegistration => {
  const projection = { kind: 'declarative' as const, fields: '*' as const, scopes: ['user:{userId}'] };
  return {
    service,
    entityTypes: [{ entityType, schemaVersion: 1, policy: 'server_authoritative', projection }],
  };
};

const AT = '2026-01-01T00:00:00.000Z';
const HASH = '0'.repeat(64);
const POLICY = { kind: 'policy', policy: 'lww' } as const;
const BLOCK = {
  ...{ name: 'text:1', path: 'text', line: 1, key: null, merged: 'secret' },
  ...{ kind: 'same_number', grade: 'severe' as const },
};

let rig: GatewayRig;
let device: TestDevice;
let record: ConflictRecord;
let answer: (request: ConflictResolveRequest) => ConflictResolveReply;
const responders: Responder[] = [];

const answerOn = (subject: string, handle: (body: never) => unknown): void => {
  const reply = async (body: unknown): Promise<unknown> => handle(body as never);
  responders.push(new Responder({ nats: rig.nats, subject, queue: 'test', handle: reply, logger: silent }));
};

beforeAll(async () => {
  rig = await GatewayRig.start();
  const token = await rig.identity.token(PLATFORM_TENANT, 'operator', { roles: ['sync-operator'] });
  for (const registration of [
    registrationOf('learning', 'note'),
    registrationOf('conflict-resolver', 'conflict'),
  ]) {
    const registered = await fetch(new URL(`/admin/v1/registrations/${registration.service}`, rig.url), {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(registration),
    });
    expect(registered.ok).toBe(true);
  }
  answerOn(subjects.conflictShow, () => ({ conflict: record }));
  answerOn(subjects.conflictResolve, (request: ConflictResolveRequest) => answer(request));
  await rig.nats.flush();
});
afterAll(async () => {
  for (const responder of responders) await responder.stop();
  await rig.stop();
});

beforeEach(async () => {
  device = await rig.device();
  const conflictId = randomUUID();
  const { userId, deviceId } = device;
  record = {
    ...{ conflictId, status: 'resolved', policy: 'lww', mutationId: randomUUID(), userId, deviceId },
    ...{ scope: SCOPE, entityType: 'note', entityId: 'n', op: 'patch' },
    ...{ base: { text: 'secret base' }, baseUnknown: [], ours: { text: 'secret' } },
    ...{ theirs: { text: 'mine', tiny: 5e-324 }, theirsUpdate: null },
    clocks: { ours: { 's:learning': 7 }, theirs: { 's:learning': 6 } },
    fields: [{ field: 'text', base: 'secret base', ours: 'secret', theirs: 'mine', winner: 'ours' }],
    blocks: [BLOCK],
    decision: { kind: 'accept_suggestion', clock: { 's:learning': 8 }, data: { text: 'secret' } },
    decider: { kind: 'person', userId, deviceId },
    ...{ detectedAt: AT, resolvedAt: AT },
    history: [{ conflictId, at: AT, what: 'detected', who: POLICY, facts: {}, previous: '', hash: HASH }],
    suggestions: [
      {
        ...{ suggestionId: randomUUID(), status: 'ready', clock: {}, clockHash: HASH, redactedFields: [] },
        ...{ changes: { set: { text: 'secret' }, remove: [] }, rationale: 'because of the secret' },
        ...{ requestedAt: AT, requestedBy: userId, requestedDevice: deviceId, parameters: {} },
        provenance: { promptHash: HASH, baseHash: HASH, oursHash: HASH, theirsHash: HASH },
      },
    ],
  };
  rig.projector.grant('t1', device.userId, SCOPE);
  rig.projector.put('t1', `user:${device.userId}`, record.conflictId, { ...record });
  await rig.ingest();
  await asConflict();
});

/** The projector of the tests knows notes only. */
async function asConflict(): Promise<void> {
  await rig.test.database.inTenant('t1', (tx) =>
    tx.query(
      `UPDATE scope_delta SET entity_type = 'conflict',
         wire = replace(wire, '"entityType":"note","entityId":"' || $1, '"entityType":"conflict","entityId":"' || $1)
       WHERE entity_id = $1`,
      [record.conflictId],
    ),
  );
}

async function withdraw(): Promise<void> {
  rig.projector.grant('t1', device.userId, SCOPE, false);
  await rig.ingest();
}

async function shown(): Promise<ConflictRecord> {
  const { body } = await rig.call(device, `conflicts/${record.conflictId}`, null, { method: 'GET' });
  return (body as unknown as { readonly conflict: ConflictRecord }).conflict;
}

async function pulled(): Promise<PullResponse> {
  const scopes = [{ scope: `user:${device.userId}`, cursor: null }];
  return (await rig.call<PullResponse>(device, 'pull', { scopes })).body;
}

const deltaOf = (pull: PullResponse): RemoteDelta | undefined => pull.scopes[0]?.deltas[0];
const expectNoSecret = (answered: unknown): void => expect(JSON.stringify(answered)).not.toContain('secret');

describe('a conflict about an entity of a scope that was taken from its user', () => {
  it('shows what the user wrote and nothing of the server, wherever it is asked for', async () => {
    expect(await shown()).toMatchObject({ ours: { text: 'secret' } });
    expect(deltaOf(await pulled())).toMatchObject({
      entityType: 'conflict',
      data: { ours: { text: 'secret' } },
    });
    await withdraw();
    const expected = {
      ...record,
      ...{ base: null, baseUnknown: [''], ours: null, blocks: [], suggestions: [], omitted: OMITTED },
      fields: [{ field: 'text', winner: 'ours' }],
      decision: { kind: 'accept_suggestion', clock: { 's:learning': 8 } },
    };
    expect(await shown()).toEqual(expected);
    const pull = await pulled();
    expect(deltaOf(pull)?.data).toEqual(expected);
    expectNoSecret(pull);
  });

  it('is whole again when the scope is', async () => {
    await withdraw();
    rig.projector.grant('t1', device.userId, SCOPE);
    await rig.ingest();
    expect(await shown()).toEqual(record);
    expect(deltaOf(await pulled())?.data).toEqual(record);
  });

  it('is not shown by a mutation of it either', async () => {
    await withdraw();
    const address = { scope: `user:${device.userId}`, entityType: 'conflict', entityId: record.conflictId };
    const occurredAt = new Date().toISOString();
    const patch = { ...address, mutationId: randomUUID(), sequence: 1, op: 'patch', data: {}, occurredAt };
    for (const attempt of [1, 2, 3]) {
      const mutations = [
        patch,
        { ...patch, mutationId: randomUUID(), sequence: 1 + attempt, op: 'nonsense' },
      ];
      const sent = mutations.slice(0, attempt === 1 ? 2 : 1);
      const { body } = await rig.call<PushResponse>(device, 'push', { sentAt: occurredAt, mutations: sent });
      if (attempt > 1) expect(body).toMatchObject({ outcomes: [{ status: 'rejected', code: 'forbidden' }] });
      expectNoSecret(body);
    }
    expectNoSecret(await pulled());
  });

  it('is resolved by nothing that would write into the scope', async () => {
    record = { ...record, status: 'open', decision: null };
    await withdraw();
    const asked: ConflictResolveRequest[] = [];
    answer = (request) => {
      asked.push(request);
      return request.target === null && request.resolution.kind !== 'keep_server'
        ? { kind: 'rejected', code: 'entity_type_unknown', message: 'no service owns it any more' }
        : { kind: 'resolved', conflict: { ...record, status: 'resolved' } };
    };
    const resolve = (kind: string): ReturnType<typeof rig.call> => {
      const { conflictId } = record;
      return rig.call(device, 'resolve-conflict', { conflictId, resolution: { kind }, expectedClock: {} });
    };
    expect(await resolve('keep_client')).toMatchObject({
      status: 422,
      body: { code: 'resolution_rejected', ownerCode: 'scope_not_held' },
    });
    expect(asked).toMatchObject([{ target: null }]);
    const kept = await resolve('keep_server');
    expect(kept).toMatchObject({ status: 200, body: { conflict: { ours: null, omitted: OMITTED } } });
    expectNoSecret(kept);
    answer = () => ({ kind: 'already_resolved', conflict: record });
    const late = await resolve('keep_client');
    expect(late).toMatchObject({ status: 409, body: { conflict: { ours: null } } });
    expectNoSecret(late);
  });
});
