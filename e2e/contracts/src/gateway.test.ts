import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { MatchersV3, type PactV4 } from '@pact-foundation/pact';
import type { Answer } from '@sync/client';
import { type LearnerDevice, bindLearnerDevice, changeOnServer, until } from '@sync/e2e-device';
import { connectNats } from '@sync/messaging';
import { startContract } from '@sync/messaging/testing/pact';
import { type PushSeen, subjects } from '@sync/protocol';
import { USER, contractApp, contractTransport, diskAfter } from './testing/contract-device.ts';
import { PROBLEM_TYPE, SIGNED, SIGNED_GET, TIME, problemOf } from './testing/http-shapes.ts';
import { holdConflict } from './testing/held-conflict.ts';
import { HELD, NOTHING_MORE, PAGE, SCOPE, idsFrom, mutationOf } from './testing/note-shapes.ts';
import { platform } from './testing/platform.ts';
import { publishedBatch } from './testing/published-batch.ts';
import { SigningProxy } from './testing/signing-proxy.ts';
import { askOver, verifyProvider } from './testing/verify-provider.ts';

const { eachValueMatches, fromProviderState, integer, like, nullValue, regex } = MatchersV3;

describe('a device expects of the gateway', () => {
  let contract: PactV4;

  beforeAll(() => {
    contract = startContract('device', 'sync-gateway');
  });

  interface Exchange {
    readonly given: string;
    readonly what: string;
    readonly path: string;
    /** None where the request has none. */
    readonly body?: unknown;
    readonly status?: number;
    readonly answer: unknown;
  }
  const exchange = async <T>(
    { given, what, path, body, status = 200, answer }: Exchange,
    act: (gatewayUrl: string) => Promise<T>,
  ): Promise<T> => {
    const done = await contract
      .addInteraction()
      .given(given)
      .uponReceiving(what)
      .withRequest('POST', `/sync/v1/${path}`, (request) => {
        if (body === undefined) request.headers(SIGNED_GET);
        else request.headers(SIGNED).jsonBody(body);
      })
      .willRespondWith(status, (response) => {
        response.jsonBody(answer);
        if (status >= 400) response.headers({ 'Content-Type': PROBLEM_TYPE });
      })
      .executeTest(async (mock) => ({ result: await act(mock.url) }));
    if (!done) throw new Error('Pact did not run the test');
    return done.result;
  };
  /** The app is started, and does what it does until it has come about. */
  const runUntil = async (
    app: LearnerDevice,
    what: string,
    holds: () => boolean | Promise<boolean>,
  ): Promise<void> => {
    app.client.start();
    await until(what, async () => holds(), { limitMs: 30_000, pauseMs: 10 });
    await app.close();
  };

  it('everything granted, when it pulls for the first time', async () => {
    await exchange(
      {
        given: 'the user has a note',
        what: 'a pull of everything granted',
        path: 'pull',
        body: { limit: 1_000, waitMs: 0, backlog: { pending: 0, oldestAt: null } },
        answer: { serverTime: TIME, scopes: [PAGE], ...NOTHING_MORE },
      },
      async (gatewayUrl) => {
        const app = await contractApp(gatewayUrl, { path: 'pull' });
        const notes = await app.client.entity('note').load();
        await runUntil(app, 'the note is shown', () => notes.list().length > 0);
        const [{ cursor } = { cursor: null }] = await app.scopes();
        expect(cursor).toBe('cursor-1');
      },
    );
  });

  const FROM_CURSOR = { scope: SCOPE, cursor: fromProviderState('${cursor}', 'cursor-1') };

  it('nothing, when it pulls from where it is', async () => {
    const disk = await diskAfter(HELD);
    await exchange(
      {
        given: 'the device holds everything',
        what: 'a pull from a cursor',
        path: 'pull',
        body: { scopes: [FROM_CURSOR], limit: 1_000, waitMs: 0, backlog: { pending: 0, oldestAt: null } },
        answer: {
          serverTime: TIME,
          scopes: [{ ...PAGE, reset: false, deltas: [] }],
          ...NOTHING_MORE,
        },
      },
      async (gatewayUrl) => {
        const app = await contractApp(gatewayUrl, { path: 'pull', disk });
        await runUntil(app, 'the device is live', () => app.client.status.state === 'live');
        expect((await app.scopes()).map(({ cursor }) => cursor)).toEqual(['cursor-1']);
      },
    );
  });

  it('the purge of scopes that it does not hold', async () => {
    const secret = 'course:pact-secret';
    const disk = await diskAfter({ ...HELD, granted: [secret] });
    await exchange(
      {
        given: 'the device holds everything',
        what: 'a pull of a scope that the user does not hold',
        path: 'pull',
        body: {
          scopes: [{ scope: secret, cursor: null }, FROM_CURSOR],
          ...{ limit: 1_000, waitMs: 0, backlog: { pending: 0, oldestAt: null } },
        },
        answer: {
          serverTime: TIME,
          scopes: [{ ...PAGE, reset: false, deltas: [] }],
          ...{ ...NOTHING_MORE, revoked: [secret] },
        },
      },
      async (gatewayUrl) => {
        const app = await contractApp(gatewayUrl, { path: 'pull', disk });
        expect((await app.scopes()).map(({ scope }) => scope)).toContain(secret);
        const isGone = async (): Promise<boolean> =>
          (await app.scopes()).every(({ scope }) => scope !== secret);
        await runUntil(app, 'the scope is gone', isGone);
      },
    );
  });

  it('an outcome for each mutation that it pushes', async () => {
    await exchange(
      {
        given: 'the user has a note',
        what: 'a push of a good and a bad mutation',
        path: 'push',
        body: {
          sentAt: TIME,
          mutations: [mutationOf(1, 'written offline'), mutationOf(2, 7)],
          backlog: { pending: 2, oldestAt: TIME },
        },
        answer: {
          serverTime: TIME,
          outcomes: [
            {
              mutationId: idsFrom(1)(),
              status: 'applied',
              clock: eachValueMatches({ 'd:pact-device': 1 }, integer(1)),
            },
            {
              mutationId: idsFrom(2)(),
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
      async (gatewayUrl) => {
        const app = await contractApp(gatewayUrl, { path: 'push', newId: idsFrom(1) });
        const notes = app.client.entity('note');
        const good = await notes.put('pact-pushed-1', { userId: USER, text: 'written offline' });
        const bad = await notes.put('pact-pushed-2', { userId: USER, text: 7 });
        await runUntil(app, 'both have their outcome', () => good.outcome !== null && bad.outcome !== null);
        expect([good, bad].map(({ outcome }) => outcome?.status)).toEqual(['applied', 'rejected']);
      },
    );
  });

  it('that its cursors advance when it acks', async () => {
    const disk = await diskAfter(HELD);
    const digest = { count: integer(0), hash: regex('^[0-9a-f]{64}$', '0'.repeat(64)) };
    await exchange(
      {
        given: 'the device has pulled',
        what: 'an ack of what is stored',
        path: 'ack',
        body: {
          cursors: [{ ...FROM_CURSOR, digest }],
          ...{ outcomes: [], purged: [], backlog: { pending: 0, oldestAt: null } },
        },
        answer: {
          serverTime: TIME,
          cursors: [{ scope: SCOPE, status: regex('^(advanced|unchanged|stale)$', 'advanced') }],
        },
      },
      async (gatewayUrl) => {
        const app = await contractApp(gatewayUrl, { path: 'ack', disk });
        const isAcked = async (): Promise<boolean> =>
          (await app.scopes()).every(({ ackedCursor }) => ackedCursor === 'cursor-1');
        expect(await isAcked()).toBe(false);
        await runUntil(app, 'the server has taken it', isAcked);
      },
    );
  });

  it('a ticket for a socket', async () => {
    await exchange(
      {
        given: 'the user has a note',
        what: 'a request for a ticket',
        path: 'tickets',
        answer: { serverTime: TIME, ticket: regex('^.{1,200}$', 'ticket-1'), expiresAt: TIME },
      },
      async (gatewayUrl) => {
        const opened = Promise.withResolvers<string>();
        const transport = await contractTransport(gatewayUrl, opened.resolve);
        const line = transport.listen?.({ onNotice: () => undefined, onState: () => undefined });
        expect(new URL(await opened.promise).searchParams.get('ticket')).toBe('ticket-1');
        line?.close();
      },
    );
  });

  it('the server’s time when its clock is wrong, so that it can sign again', async () => {
    const refused = await exchange(
      {
        given: 'the clock of the device is ten minutes slow',
        what: 'a request of a device with a wrong clock',
        path: 'pull',
        body: {},
        status: 401,
        answer: problemOf(401, 'clock_skew', true),
      },
      async (gatewayUrl) => {
        const transport = await contractTransport(gatewayUrl);
        const answer = await transport.send(post('pull'));
        return { answer, offsetMs: transport.offsetMs };
      },
    );
    expect(refused.answer).toMatchObject({ ok: false, kind: 'wrong_clock', status: 401 });
    expect(Math.abs(refused.offsetMs ?? 0)).toBeGreaterThan(0);
  });

  it('to hear when it may not have suggestions', async () => {
    const path = 'conflicts/00000000-0000-4000-8000-000000000000/suggestions';
    const answer: Answer<unknown> = await exchange(
      {
        given: 'the user has a note',
        what: 'a request for a suggestion in a tenant that has none',
        path,
        body: {},
        status: 409,
        answer: problemOf(409, 'suggestions_disabled', false),
      },
      async (gatewayUrl) => (await contractTransport(gatewayUrl)).send(post(path)),
    );
    expect(answer).toMatchObject({ kind: 'refused', problem: { code: 'suggestions_disabled' } });
  });
});

function post(path: string) {
  return { method: 'POST', path: `/sync/v1/${path}`, body: {}, timeoutMs: 10_000 } as const;
}

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

  /** A new device in a tenant of its own, whose user has one note, projected and pulled. */
  const deviceWithNote = async (newId?: () => string): Promise<LearnerDevice> => {
    const tenantId = `pact-${randomUUID().slice(0, 8)}`;
    const device = await bindLearnerDevice(platform(), tenantId, USER, newId ? { newId } : {});
    proxy.device = device.credentials;
    proxy.clockOffsetMs = 0;
    const note = { userId: USER, text: 'on the server' };
    await changeOnServer(platform().learning, tenantId, 'note', 'pact-note', note);
    const notes = await device.client.entity('note').load();
    const isThere = async (): Promise<boolean> => notes.get('pact-note') !== null;
    await until('the note is pulled', isThere, { limitMs: 30_000, pauseMs: 20 });
    return device;
  };
  const stateOfNote = async (): Promise<Record<string, string>> => {
    const device = await deviceWithNote();
    await device.close();
    const [{ cursor } = { cursor: null }] = await device.scopes();
    return { cursor: cursor ?? '' };
  };

  it('of devices, of owning services and of analytics', async () => {
    const verified = await verifyProvider({
      provider: 'sync-gateway',
      consumers: ['device', 'owner-sdk', 'analytics', 'conflict-resolver'],
      ask: askOver(nats),
      baseUrl: proxy.url,
      states: {
        'the user has a note': async () => {
          await stateOfNote();
          return undefined;
        },
        'the device holds everything': stateOfNote,
        'the device has pulled': stateOfNote,
        'the clock of the device is ten minutes slow': async () => {
          await stateOfNote();
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
      async () => (await holdConflict({ tenantId, userId: USER, entityId: 'pact-held', mutationId })).close(),
    );
  };

  /** Has a mutation of this id refused, beside one that is applied, and answers the event that says so. */
  const publishedOf = async (mutationId: string): Promise<unknown> => {
    const ids = [randomUUID(), mutationId];
    const device = await deviceWithNote(() => ids.shift() ?? randomUUID());
    device.client.forceOffline();
    const notes = device.client.entity('note');
    await notes.put('pact-pushed-20', { userId: USER, text: 'written offline' });
    // Whatever an app asks for is sent: a note is no record that is only appended.
    await notes.append({ userId: USER, text: 'appended' }, { id: 'pact-firehose' });
    const tells = (element: unknown): boolean => {
      const { type, data } = element as { type: string; data: PushSeen };
      return (
        type === 'sync.push.completed.v1' && data.mutations.some((seen) => seen.mutationId === mutationId)
      );
    };
    const stream = subjects.streamMessage('SYNC_EVENTS', '*', 'sync-gateway');
    const published = await publishedBatch(nats, stream, tells, async () =>
      device.client.forceOffline(false),
    );
    await device.close();
    return published;
  };
});
