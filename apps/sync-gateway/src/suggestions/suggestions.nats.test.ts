import { randomUUID } from 'node:crypto';
import { RemoteError, Responder } from '@sync/messaging';
import { type SuggestionReply, type SuggestionRequest, subjects } from '@sync/protocol';
import { silent } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';

const CONFLICT = randomUUID();
const SUGGESTION = randomUUID();
const SETTINGS = {
  enabled: true,
  tokensPerDay: 1_000,
  costPerDayMicros: 0,
  redactFields: ['ssn'],
  redactPatterns: [],
};

describe('suggestions at the gateway', () => {
  let rig: GatewayRig;
  let device: TestDevice;
  let resolver: (question: SuggestionRequest) => SuggestionReply;
  const asked: SuggestionRequest[] = [];
  const settingsAsked: unknown[] = [];
  const stops: Responder[] = [];

  const answerOn = (subject: string, answer: (body: unknown) => unknown): void => {
    const handle = async (body: unknown): Promise<unknown> => answer(body);
    stops.push(new Responder({ nats: rig.nats, subject, queue: 'test', handle, logger: silent }));
  };
  const ask = (conflictId: string = CONFLICT) => rig.call(device, `conflicts/${conflictId}/suggestions`, {});
  const needsPresent = (entityId: string, scope = `user:${device.userId}`): void => {
    resolver = ({ present }) =>
      present
        ? { kind: 'asked', suggestionId: SUGGESTION, status: 'requested' }
        : { kind: 'needs_present', scope, entityType: 'note', entityId };
  };
  const refuse = (code: string): void => {
    resolver = () => {
      throw new RemoteError(code, 'no');
    };
  };

  beforeAll(async () => {
    rig = await GatewayRig.start();
    device = await rig.device();
    answerOn(subjects.suggestionRequest, (body) => {
      asked.push(body as SuggestionRequest);
      return resolver(body as SuggestionRequest);
    });
    answerOn(subjects.suggestionSettings, (body) => {
      settingsAsked.push(body);
      const { settings = { ...SETTINGS, enabled: false } } = body as { settings?: typeof SETTINGS };
      return { settings, usage: { day: '2026-01-01', tokens: 0, costMicros: 0 }, endpoint: { model: 'm' } };
    });
    await rig.nats.flush();
  });
  beforeEach(() => {
    asked.length = 0;
    settingsAsked.length = 0;
  });
  afterAll(async () => {
    for (const responder of stops) await responder.stop();
    await rig.stop();
  });

  it('are asked for with the entity as it is now, and answered 202', async () => {
    rig.projector.put('t1', `user:${device.userId}`, 'n1', { title: 'now' });
    await rig.ingest();
    needsPresent('n1');
    const { status, body } = await ask();
    expect([status, body['suggestion']]).toEqual([202, { suggestionId: SUGGESTION, status: 'requested' }]);
    const { userId, deviceId } = device;
    const question = { tenantId: 't1', userId, deviceId, conflictId: CONFLICT };
    expect(asked).toEqual([
      question,
      { ...question, present: { clock: expect.any(Object) as unknown, data: { title: 'now' } } },
    ]);
  });

  it('are not made of an entity whose scope the user does not hold any more', async () => {
    rig.projector.put('t1', 'course:c1', 'n2', { title: 'secret' });
    await rig.ingest();
    needsPresent('n2', 'course:c1');
    expect(await ask()).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(JSON.stringify(asked)).not.toContain('secret');
  });

  it.each([
    ['not_found', 404],
    ['conflict_already_resolved', 409],
    ['suggestions_disabled', 409],
  ])('are refused with %s (%d) as the resolver refuses them', async (code, status) => {
    refuse(code);
    expect(await ask()).toMatchObject({ status, body: { code } });
  });

  it('are refused with Retry-After when the budget is used up', async () => {
    resolver = () => ({ kind: 'over_budget', retryAfterMs: 61_500 });
    const answer = await ask();
    expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited', retryable: true } });
    expect(answer.headers.get('retry-after')).toBe('62');
  });

  it('of what can be no conflict are not found, and nobody is asked', async () => {
    expect(await ask('nonsense')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(asked).toEqual([]);
  });

  it('are switched on by an administrator of the tenant, and by nobody else', async () => {
    const put = async (roles: string[], settings: object) => {
      const token = await rig.identity.token('t1', 'admin', { roles });
      const answer = await fetch(new URL('/admin/v1/suggestions', rig.url), {
        method: 'PUT',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(settings),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    expect(await put([], SETTINGS)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await put(['sync-admin'], { enabled: true })).toMatchObject({
      status: 400,
      body: { code: 'schema_invalid' },
    });
    expect(settingsAsked).toEqual([]);
    expect(await put(['sync-admin'], SETTINGS)).toMatchObject({ status: 200, body: { settings: SETTINGS } });
    expect(settingsAsked).toEqual([{ tenantId: 't1', userId: 'admin', settings: SETTINGS }]);
  });

  it('show an administrator what is set', async () => {
    const token = await rig.identity.token('t1', 'admin', { roles: ['sync-admin'] });
    const answer = await fetch(new URL('/admin/v1/suggestions', rig.url), {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await answer.json()).toMatchObject({ settings: { enabled: false }, endpoint: { model: 'm' } });
  });
});
