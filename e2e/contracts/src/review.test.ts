import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { MatchersV3, type PactV4 } from '@pact-foundation/pact';
import type { Answer } from '@sync/client';
import type { LearnerDevice } from '@sync/e2e-device';
import { connectNats } from '@sync/messaging';
import { startContract } from '@sync/messaging/testing/pact';
import { USER, contractTransport } from './testing/contract-device.ts';
import { conflictIdOf, holdConflict } from './testing/held-conflict.ts';
import { PROBLEM_TYPE, SIGNED, SIGNED_GET, TIME, problemOf } from './testing/http-shapes.ts';
import { platform } from './testing/platform.ts';
import { SigningProxy } from './testing/signing-proxy.ts';
import { askOver, verifyProvider } from './testing/verify-provider.ts';

const { eachLike, integer, like, regex } = MatchersV3;

const MUTATION = '00000000-0000-4000-8000-000000000041';
const CONFLICT = conflictIdOf(MUTATION);
const CLOCK = { 's:learning': 2 };
const HELD = 'the user has an open conflict of a note';
const DECIDED = 'the user has decided the conflict of a note';
const MOMENT = regex('^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$', '2026-01-01T00:00:00.000000Z');

/** What a person needs to decide: both sides, and what they started from. */
const RECORD = {
  conflictId: CONFLICT,
  policy: 'lww',
  mutationId: MUTATION,
  scope: `user:${USER}`,
  entityType: 'note',
  entityId: 'pact-held',
  op: 'patch',
  base: { userId: USER },
  baseUnknown: ['text'],
  ours: { userId: USER, text: 'of the service' },
  theirs: { text: 'of the device' },
  clocks: { ours: CLOCK, theirs: like({ 's:learning': integer(1) }) },
  suggestions: [],
  detectedAt: TIME,
};
const OPEN = { ...RECORD, status: 'open', decision: null, decider: null };
const decided = (decision: object): object => ({
  ...RECORD,
  ...{ status: 'resolved', decision, decider: { kind: 'person', userId: USER }, resolvedAt: TIME },
});

describe('a device on which a person decides conflicts expects of the gateway', () => {
  let contract: PactV4;

  beforeAll(() => {
    contract = startContract('device-review', 'sync-gateway');
  });

  type Received = Answer<Readonly<Record<string, unknown>>>;
  interface Exchange {
    readonly given: string;
    readonly what: string;
    readonly path: string;
    readonly query?: Readonly<Record<string, string>>;
    /** Of a POST; without it it is a GET. */
    readonly body?: unknown;
    readonly status?: number;
    readonly answer: unknown;
  }
  const exchange = async ({
    given,
    what,
    path,
    query = {},
    body,
    status = 200,
    answer,
  }: Exchange): Promise<Received> => {
    const method = body === undefined ? 'GET' : 'POST';
    const search = new URLSearchParams(query).toString();
    const done = await contract
      .addInteraction()
      .given(given)
      .uponReceiving(what)
      .withRequest(method, path, (request) => {
        if (search !== '') request.query({ ...query });
        if (body === undefined) request.headers(SIGNED_GET);
        else request.headers(SIGNED).jsonBody(body);
      })
      .willRespondWith(status, (response) => {
        response.jsonBody(answer);
        if (status >= 400) response.headers({ 'Content-Type': PROBLEM_TYPE });
      })
      .executeTest(async (mock) => {
        const transport = await contractTransport(mock.url);
        const asked = {
          method,
          path: search === '' ? path : `${path}?${search}`,
          timeoutMs: 10_000,
        } as const;
        return transport.send<Readonly<Record<string, unknown>>>(
          body === undefined ? asked : { ...asked, body },
        );
      });
    if (!done) throw new Error('Pact did not run the test');
    return done;
  };
  const bodyOf = (answer: Received): Readonly<Record<string, unknown>> => {
    if (!answer.ok) throw new Error(answer.detail);
    return answer.body;
  };
  const resolve = (expectedClock: object, kind = 'keep_client'): object => ({
    ...{ conflictId: CONFLICT, resolution: { kind }, expectedClock },
  });

  it('a list of what is open', async () => {
    const summary = {
      ...{ conflictId: CONFLICT, status: 'open', policy: 'lww', mutationId: MUTATION, userId: USER },
      ...{ entityType: 'note', entityId: 'pact-held', scope: `user:${USER}`, fields: ['text'] },
      ...{ detectedAt: MOMENT, resolvedAt: null, resolution: null },
    };
    const answer = await exchange({
      ...{ given: HELD, what: 'a list of open conflicts', path: '/sync/v1/conflicts' },
      ...{ query: { status: 'open' }, answer: { serverTime: TIME, conflicts: [summary], next: null } },
    });
    expect(bodyOf(answer)['conflicts']).toHaveLength(1);
  });

  it('the record with both sides and what happened to it', async () => {
    const history = eachLike({ what: 'detected', at: TIME, hash: regex('^[0-9a-f]{64}$', '0'.repeat(64)) });
    const answer = await exchange({
      ...{ given: HELD, what: 'a look at an open conflict', path: `/sync/v1/conflicts/${CONFLICT}` },
      answer: { serverTime: TIME, conflict: { ...OPEN, history } },
    });
    expect(bodyOf(answer)['conflict']).toMatchObject({ status: 'open', baseUnknown: ['text'] });
  });

  it('no difference between what does not exist and what is another user’s', async () => {
    const answer = await exchange({
      ...{ given: HELD, what: 'a look at no conflict of the user', status: 404 },
      path: '/sync/v1/conflicts/00000000-0000-4000-8000-000000000000',
      answer: problemOf(404, 'not_found', false),
    });
    expect(answer).toMatchObject({ kind: 'refused', status: 404 });
  });

  it('the decided record, when the device’s value is to stand', async () => {
    const decision = {
      ...{ kind: 'keep_client', op: 'patch', data: { text: 'of the device' } },
      clock: { 's:learning': 3 },
    };
    const answer = await exchange({
      ...{ given: HELD, what: 'the device’s value is kept', path: '/sync/v1/resolve-conflict' },
      ...{ body: resolve(CLOCK), answer: { serverTime: TIME, conflict: decided(decision) } },
    });
    expect(bodyOf(answer)['conflict']).toMatchObject({ status: 'resolved' });
  });

  it('to hear that the entity has moved, and what it is now', async () => {
    const current = { entityType: 'note', entityId: 'pact-held', clock: CLOCK, data: RECORD.ours };
    const answer = await exchange({
      ...{ given: HELD, what: 'a decision on an earlier state', path: '/sync/v1/resolve-conflict' },
      ...{ body: resolve({ 's:learning': 1 }), status: 409 },
      answer: { ...problemOf(409, 'conflict_moved', false), current },
    });
    expect(answer).toMatchObject({ kind: 'refused', problem: { current: { clock: CLOCK } } });
  });

  it('to hear what was decided before', async () => {
    const answer = await exchange({
      ...{ given: DECIDED, what: 'a second decision', path: '/sync/v1/resolve-conflict' },
      ...{ body: resolve(CLOCK), status: 409 },
      answer: {
        ...problemOf(409, 'conflict_already_resolved', false),
        conflict: decided({ kind: 'keep_server' }),
      },
    });
    const conflict = { decision: { kind: 'keep_server' } };
    expect(answer).toMatchObject({ kind: 'refused', problem: { conflict } });
  });
});

describe('the gateway keeps to the contract of reviewing devices', () => {
  let nats: NatsConnection;
  let proxy: SigningProxy;

  beforeAll(async () => {
    nats = await connectNats({ url: platform().nats, name: 'contracts' });
    proxy = await SigningProxy.start(platform().gateway);
  });
  afterAll(async () => {
    await proxy.stop();
    await nats.close();
  });

  /** In a tenant of its own: one interaction's decision is not the next one's. */
  const hold = async (): Promise<LearnerDevice> => {
    const tenantId = `pact-${randomUUID().slice(0, 8)}`;
    const held = { tenantId, userId: USER, entityId: 'pact-held', mutationId: MUTATION };
    const device = await holdConflict(held);
    proxy.device = device.credentials;
    return device;
  };
  const held = async (): Promise<undefined> => {
    await (await hold()).close();
    return undefined;
  };
  const decide = async (): Promise<undefined> => {
    const device = await hold();
    await device.client.resolve(CONFLICT, { kind: 'keep_server' }, CLOCK);
    await device.close();
    return undefined;
  };

  it('about conflicts', async () => {
    const verified = await verifyProvider({
      ...{ provider: 'sync-gateway', consumers: ['device-review'], ask: askOver(nats), baseUrl: proxy.url },
      states: { [HELD]: held, [DECIDED]: decide },
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(6);
  });
});
