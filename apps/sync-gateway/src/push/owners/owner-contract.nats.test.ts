import { MatchersV3 } from '@pact-foundation/pact';
import type { SubmitDecision } from '@sync/domain';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { type RegisteredEntityType, subjects } from '@sync/protocol';
import { Metrics } from '@sync/service-kit';
import type { Submission } from '../decide/submission.ts';
import { standingOfHead } from '../decide/standing.ts';
import { PushMetrics } from '../push-metrics.ts';
import { silent } from '../testing/push-rig.ts';
import { type Sent, SendToOwner } from './send-to-owner.ts';

const { integer, like, regex, string } = MatchersV3;

const TENANT = 'pact';
const AUTHOR = { tenantId: TENANT, userId: 'pact-user', deviceId: 'pact-device' };
const AT_MS = Date.parse('2026-01-01T00:00:00.000Z');

/** A clean change, as the gateway sends it. */
function submission(
  service: string,
  entityType: string,
  mutationId: string,
  change: Partial<SubmitDecision> & { readonly entityId: string; readonly scope?: string },
): Submission {
  const { entityId, scope = `user:${AUTHOR.userId}`, ...decision } = change;
  const registration: RegisteredEntityType = {
    service,
    entityType,
    schemaVersion: 1,
    policy: 'lww',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
  };
  const clock = { [`d:${AUTHOR.deviceId}`]: 1 };
  const mutation = {
    mutationId,
    sequence: 1,
    scope,
    entityType,
    entityId,
    op: decision.op ?? 'put',
    baseClock: {},
    counter: 1,
    clock,
    dependsOn: [],
    occurredAt: new Date(AT_MS).toISOString(),
    occurredAtMs: AT_MS,
    identity: '0'.repeat(72),
  };
  const before = standingOfHead(null);
  return {
    work: {
      mutation,
      registration,
      payloadBytes: 100,
      receivedAtMs: AT_MS,
      mayForget: false,
      head: null,
      mayBeSent: false,
      kept: null,
      hold: null,
      refuse: null,
    },
    change: {
      kind: 'submit',
      op: 'put',
      data: null,
      update: null,
      clock,
      expectedRevision: 0,
      status: 'applied',
      record: null,
      fieldWrites: {},
      ...decision,
    },
    before,
    after: before,
  };
}

/** The request that comes of it, member by member: what owning services may rely on. */
function requestOf({ work, change }: Submission): object {
  const { mutationId, scope, entityType, entityId } = work.mutation;
  return {
    tenantId: TENANT,
    mutations: [
      {
        mutationId,
        userId: AUTHOR.userId,
        deviceId: AUTHOR.deviceId,
        scope,
        entityType,
        entityId,
        op: change.op,
        data: change.data,
        ...(change.update === null ? {} : { update: change.update }),
        clock: change.clock,
        ...(change.op === 'merge' ? { baseClock: work.mutation.baseClock } : {}),
        expectedRevision: change.expectedRevision,
        occurredAt: '2026-01-01T00:00:00.000Z',
        schemaVersion: 1,
        identity: work.mutation.identity,
      },
    ],
  };
}

/** Clocks may hold more than was sent. */
const CLOCK = like({ [`d:${AUTHOR.deviceId}`]: integer(1) });

describe('the gateway expects of owning services', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let owners: SendToOwner;
  let learning: MessageContract;
  let authoring: MessageContract;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
    owners = new SendToOwner(nats, silent, new PushMetrics(new Metrics('contract')), 5_000);
    learning = new MessageContract('sync-gateway', 'learning');
    authoring = new MessageContract('sync-gateway', 'authoring');
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  const send = (
    contract: MessageContract,
    sent: Submission,
    expected: { readonly what: string; readonly given?: string; readonly result: object },
  ): Promise<Sent> => {
    const { registration, mutation } = sent.work;
    const { result, ...rest } = expected;
    return contract.reply(
      {
        nats,
        subject: subjects.push(registration.service, registration.entityType),
        ...rest,
        request: requestOf(sent),
        reply: { results: [{ mutationId: mutation.mutationId, ...result }] },
      },
      () => owners.send(AUTHOR, [sent], { deadlineMs: Infinity, patient: false }),
    );
  };
  const resultOf = ({ results }: Sent): unknown => [...results.values()][0];

  it.each<[string, string, string, Record<string, unknown>]>([
    ['note', '1', 'put', { userId: AUTHOR.userId, text: 'written offline' }],
    ['progress', '2', 'put', { userId: AUTHOR.userId, courseId: 'c1', percent: 40, status: 'in_progress' }],
  ])('that a new %s is applied', async (entityType, id, op, data) => {
    const sent = submission('learning', entityType, `00000000-0000-4000-8000-00000000000${id}`, {
      entityId: `pact-${entityType}`,
      op: op as SubmitDecision['op'],
      data: data as SubmitDecision['data'],
    });
    const result = { status: 'applied', revision: integer(1), clock: CLOCK };
    const answer = await send(learning, sent, { what: `a new ${entityType} is applied`, result });
    expect(resultOf(answer)).toMatchObject({ status: 'applied', revision: 1 });
  });

  it('that a statement is appended', async () => {
    const entityId = '00000000-0000-4000-8000-0000000000aa';
    const sent = submission('learning', 'statement', '00000000-0000-4000-8000-000000000003', {
      entityId,
      op: 'append',
      data: {
        id: entityId,
        verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
        object: { objectType: 'Activity', id: 'https://courses.example/c/pages/1' },
        timestamp: '2026-01-01T00:00:00.000Z',
      },
    });
    const result = { status: 'applied', revision: integer(1), clock: CLOCK };
    const answer = await send(learning, sent, { what: 'a statement is appended', result });
    expect(resultOf(answer)).toMatchObject({ status: 'applied' });
  });

  it('that data against its rules is rejected with a code', async () => {
    const sent = submission('learning', 'note', '00000000-0000-4000-8000-000000000004', {
      entityId: 'pact-note-bad',
      data: { userId: AUTHOR.userId, text: 7 },
    });
    const result = {
      status: 'rejected',
      code: regex('^[a-z][a-z0-9_]{0,63}$', 'data_invalid'),
      message: string('/text'),
    };
    const answer = await send(learning, sent, { what: 'data against the rules is rejected', result });
    expect(resultOf(answer)).toMatchObject({ status: 'rejected', code: 'data_invalid' });
  });

  it('that another revision than expected is a conflict with the present state', async () => {
    const sent = submission('learning', 'note', '00000000-0000-4000-8000-000000000005', {
      entityId: 'pact-note-there',
      data: { userId: AUTHOR.userId, text: 'mine' },
    });
    const current = {
      revision: integer(1),
      clock: like({ 's:learning': integer(1) }),
      data: like({ userId: AUTHOR.userId, text: 'theirs' }),
      deleted: false,
    };
    const answer = await send(learning, sent, {
      what: 'another revision than expected is a conflict',
      given: 'the note pact-note-there exists',
      result: { status: 'conflict', current },
    });
    expect(resultOf(answer)).toMatchObject({ status: 'conflict', current: { revision: 1 } });
  });

  it('that a document is created by put', async () => {
    const sent = submission('authoring', 'document', '00000000-0000-4000-8000-000000000006', {
      entityId: 'pact-document',
      scope: 'course:c1',
      data: { courseId: 'c1', title: 'Chapter one' },
    });
    const result = { status: 'applied', revision: integer(1), clock: CLOCK };
    const answer = await send(authoring, sent, { what: 'a document is created', result });
    expect(resultOf(answer)).toMatchObject({ status: 'applied' });
  });

  it('that an update of a document nobody made is rejected', async () => {
    const sent = submission('authoring', 'document', '00000000-0000-4000-8000-000000000007', {
      entityId: 'pact-document-unknown',
      scope: 'course:c1',
      op: 'merge',
      update: 'AAA=',
    });
    const result = { status: 'rejected', code: 'document_unknown', message: string('there is none') };
    const answer = await send(authoring, sent, {
      what: 'an update of an unknown document is rejected',
      result,
    });
    expect(resultOf(answer)).toMatchObject({ status: 'rejected', code: 'document_unknown' });
  });
});
