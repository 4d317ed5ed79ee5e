import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { MatchersV3, type PactV4 } from '@pact-foundation/pact';
import { DriverDevice, bindDevice, changeOnServer } from '@sync/e2e-device';
import { connectNats } from '@sync/messaging';
import { startContract } from '@sync/messaging/testing/pact';
import { type LocalMutation, type PullResponse, type PushSeen, subjects } from '@sync/protocol';
import { PROBLEM_TYPE, SIGNED, TIME, problemOf } from './testing/http-shapes.ts';
import { holdConflict } from './testing/held-conflict.ts';
import { platform } from './testing/platform.ts';
import { publishedBatch } from './testing/published-batch.ts';
import { SigningProxy } from './testing/signing-proxy.ts';
import { askOver, verifyProvider } from './testing/verify-provider.ts';

const { boolean, eachLike, eachValueMatches, fromProviderState, integer, like, nullValue, regex } =
  MatchersV3;

const USER = 'pact-user';
const SCOPE = `user:${USER}`;
const CREDENTIALS = {
  deviceId: 'pact-device',
  hmacKey: Buffer.alloc(32).toString('base64'),
  accessToken: 'a.b.c',
};
const CLOCK = like({ 's:learning': integer(1) });
const CURSOR = regex('^[A-Za-z0-9._-]+$', 'cursor-1');

const mutationOf = (id: number, changes: Partial<LocalMutation>): LocalMutation => ({
  mutationId: `00000000-0000-4000-8000-0000000001${String(id).padStart(2, '0')}`,
  sequence: id,
  scope: SCOPE,
  entityType: 'note',
  entityId: `pact-pushed-${id}`,
  op: 'put',
  data: { userId: USER, text: 'written offline' },
  baseClock: {},
  occurredAt: '2026-01-01T00:00:00.000Z',
  schemaVersion: 1,
  ...changes,
});

/** What a page of the note's scope looks like to the device. */
const PAGE = {
  scope: SCOPE,
  reset: boolean(true),
  deltas: eachLike({
    entityType: like('note'),
    entityId: like('pact-note'),
    op: regex('^(put|delete|merge)$', 'put'),
    clock: CLOCK,
    schemaVersion: integer(1),
    committedAt: TIME,
    data: like({ userId: USER, text: 'on the server' }),
  }),
  cursor: CURSOR,
  hasMore: false,
  digest: { count: integer(1), hash: regex('^[0-9a-f]{64}$', '0'.repeat(64)) },
};
describe('a device expects of the gateway', () => {
  let contract: PactV4;

  beforeAll(() => {
    contract = startContract('device', 'sync-gateway');
  });

  interface Exchange {
    readonly given: string;
    readonly what: string;
    readonly path: string;
    readonly body: unknown;
    readonly status?: number;
    readonly answer: unknown;
  }
  const exchange = async <T>(
    { given, what, path, body, status = 200, answer }: Exchange,
    act: (device: DriverDevice) => Promise<T>,
  ): Promise<T> => {
    const done = await contract
      .addInteraction()
      .given(given)
      .uponReceiving(what)
      .withRequest('POST', `/sync/v1/${path}`, (request) => {
        request.headers(SIGNED).jsonBody(body);
      })
      .willRespondWith(status, (response) => {
        response.jsonBody(answer);
        if (status >= 400) response.headers({ 'Content-Type': PROBLEM_TYPE });
      })
      .executeTest(async (mock) => ({ result: await act(new DriverDevice(mock.url, CREDENTIALS)) }));
    if (!done) throw new Error('Pact did not run the test');
    return done.result;
  };

  it('everything granted, when it pulls for the first time', async () => {
    const answer = await exchange(
      {
        given: 'the user has a note',
        what: 'a pull of everything granted',
        path: 'pull',
        body: { limit: 500, waitMs: 0 },
        answer: { serverTime: TIME, scopes: [PAGE], revoked: [], outcomes: [], directives: [] },
      },
      async (device) => {
        await device.pullOnce();
        return device.replica(SCOPE);
      },
    );
    expect(answer.cursor).toBe('cursor-1');
    expect([...answer.entities.keys()]).toEqual(['note/pact-note']);
  });

  it('nothing, when it pulls from where it is', async () => {
    const answer = await exchange(
      {
        given: 'the device holds everything',
        what: 'a pull from a cursor',
        path: 'pull',
        body: {
          scopes: [{ scope: SCOPE, cursor: fromProviderState('${cursor}', 'cursor-1') }],
          limit: 500,
          waitMs: 0,
        },
        answer: {
          serverTime: TIME,
          scopes: [{ ...PAGE, reset: false, deltas: [] }],
          revoked: [],
          outcomes: [],
          directives: [],
        },
      },
      (device) => {
        device.replica(SCOPE).cursor = 'cursor-1';
        return device.pullOnce();
      },
    );
    expect(answer.scopes[0]).toMatchObject({ reset: false, deltas: [] });
  });

  it('the purge of scopes that it does not hold', async () => {
    const answer = await exchange(
      {
        given: 'the user has a note',
        what: 'a pull of a scope that the user does not hold',
        path: 'pull',
        body: { scopes: [{ scope: 'course:pact-secret', cursor: null }], limit: 500, waitMs: 0 },
        answer: {
          serverTime: TIME,
          scopes: [],
          revoked: ['course:pact-secret'],
          outcomes: [],
          directives: [],
        },
      },
      (device) => device.pullOnce({ scopes: ['course:pact-secret'] }),
    );
    expect(answer.revoked).toEqual(['course:pact-secret']);
  });

  it('an outcome for each mutation that it pushes', async () => {
    const mutations = [mutationOf(1, {}), mutationOf(2, { data: { userId: USER, text: 7 } })];
    const outcomes = await exchange(
      {
        given: 'the user has a note',
        what: 'a push of a good and a bad mutation',
        path: 'push',
        body: { sentAt: TIME, mutations, backlog: { pending: 2 } },
        answer: {
          serverTime: TIME,
          outcomes: [
            {
              mutationId: mutations[0]?.mutationId,
              status: 'applied',
              clock: eachValueMatches({ 'd:pact-device': 1 }, integer(1)),
            },
            {
              mutationId: mutations[1]?.mutationId,
              status: 'rejected',
              code: 'data_invalid',
              message: like('/text: must be string'),
              current: {
                entityType: 'note',
                entityId: 'pact-pushed-2',
                op: 'delete',
                clock: {},
                schemaVersion: integer(1),
                committedAt: TIME,
                data: nullValue(),
              },
            },
          ],
        },
      },
      (device) => {
        device.outbox.push(...mutations);
        return device.push();
      },
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'rejected']);
  });

  it('that its cursors advance when it acks', async () => {
    const answer = await exchange(
      {
        given: 'the device has pulled',
        what: 'an ack of what is stored',
        path: 'ack',
        body: {
          cursors: [
            {
              scope: SCOPE,
              cursor: fromProviderState('${cursor}', 'cursor-1'),
              digest: { count: integer(0), hash: regex('^[0-9a-f]{64}$', '0'.repeat(64)) },
            },
          ],
          outcomes: [],
          backlog: { pending: 0 },
        },
        answer: {
          serverTime: TIME,
          cursors: [{ scope: SCOPE, status: regex('^(advanced|unchanged|stale)$', 'advanced') }],
        },
      },
      (device) => {
        device.replica(SCOPE).cursor = 'cursor-1';
        return device.ack();
      },
    );
    expect(answer.cursors).toEqual([{ scope: SCOPE, status: 'advanced' }]);
  });

  it('a ticket for a socket', async () => {
    const answer = await exchange(
      {
        given: 'the user has a note',
        what: 'a request for a ticket',
        path: 'tickets',
        body: {},
        answer: { serverTime: TIME, ticket: regex('^.{1,200}$', 'ticket-1'), expiresAt: TIME },
      },
      (device) => device.call<{ ticket: string }>('/sync/v1/tickets', {}),
    );
    expect(answer.ticket).toBe('ticket-1');
  });

  it('the server’s time when its clock is wrong, so that it can sign again', async () => {
    const answer = await exchange(
      {
        given: 'the clock of the device is ten minutes slow',
        what: 'a request of a device with a wrong clock',
        path: 'pull',
        body: {},
        status: 401,
        answer: problemOf(401, 'clock_skew', true),
      },
      (device) => device.send<{ code: string }>('/sync/v1/pull', {}),
    );
    expect([answer.status, answer.body.code]).toEqual([401, 'clock_skew']);
  });

  it('to hear when it may not have suggestions', async () => {
    const path = 'conflicts/00000000-0000-4000-8000-000000000000/suggestions';
    const answer = await exchange(
      {
        given: 'the user has a note',
        what: 'a request for a suggestion in a tenant that has none',
        path,
        body: {},
        status: 409,
        answer: problemOf(409, 'suggestions_disabled', false),
      },
      (device) => device.send<{ code: string }>(`/sync/v1/${path}`, {}),
    );
    expect(answer.body.code).toBe('suggestions_disabled');
  });
});

describe('the gateway keeps to the contracts', () => {
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

  /** A new device in a tenant of its own, whose user has one note, projected. */
  const deviceWithNote = async (): Promise<DriverDevice> => {
    const tenantId = `pact-${randomUUID().slice(0, 8)}`;
    proxy.device = await bindDevice(platform(), tenantId, USER);
    proxy.clockOffsetMs = 0;
    await changeOnServer(platform().learning, tenantId, 'note', 'pact-note', {
      userId: USER,
      text: 'on the server',
    });
    const device = new DriverDevice(platform().gateway, proxy.device);
    while (device.replica(SCOPE).entities.size === 0) await device.pullOnce({ waitMs: 1_000 });
    return device;
  };
  const cursorOf = (device: DriverDevice): Record<string, string> => ({
    cursor: device.replica(SCOPE).cursor ?? '',
  });

  it('of devices, of owning services and of analytics', async () => {
    const verified = await verifyProvider({
      provider: 'sync-gateway',
      consumers: ['device', 'owner-sdk', 'analytics', 'conflict-resolver'],
      ask: askOver(nats),
      baseUrl: proxy.url,
      states: {
        'the user has a note': async () => {
          await deviceWithNote();
          return undefined;
        },
        'the device holds everything': async () => {
          const device = await deviceWithNote();
          await device.ack();
          return cursorOf(device);
        },
        'the device has pulled': async () => cursorOf(await deviceWithNote()),
        'the clock of the device is ten minutes slow': async () => {
          await deviceWithNote();
          proxy.clockOffsetMs = -600_000;
          return undefined;
        },
      },
      publish: (what) =>
        what.endsWith('was held') ? publishedHeld() : publishedOf('00000000-0000-4000-8000-000000000021'),
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(11);
  });

  /** Lets a conflict be held and answers the event that tells of it. */
  const publishedHeld = async (): Promise<unknown> => {
    const mutationId = '00000000-0000-4000-8000-000000000051';
    const tenantId = `pact-${randomUUID().slice(0, 8)}`;
    return publishedBatch(
      nats,
      subjects.streamMessage('SYNC_EVENTS', '*', 'sync-gateway'),
      (event) => (event as { data: { mutationId?: unknown } }).data.mutationId === mutationId,
      () => holdConflict({ tenantId, userId: USER, entityId: 'pact-held', mutationId }),
    );
  };

  /** Has a mutation of this id refused, beside one that is applied, and answers the event that says so. */
  const publishedOf = async (mutationId: string): Promise<unknown> => {
    const device = await deviceWithNote();
    const mutations = [
      mutationOf(20, {}),
      mutationOf(21, { mutationId, entityId: 'pact-firehose', op: 'append' }),
    ];
    const tells = (element: unknown): boolean => {
      const { type, data } = element as { type: string; data: PushSeen };
      return (
        type === 'sync.push.completed.v1' && data.mutations.some((seen) => seen.mutationId === mutationId)
      );
    };
    return publishedBatch(
      nats,
      subjects.streamMessage('SYNC_EVENTS', '*', 'sync-gateway'),
      tells,
      async () => {
        await device.call<PullResponse>('/sync/v1/push', { sentAt: new Date().toISOString(), mutations });
      },
    );
  };
});
