import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import {
  type DeadLetterReplayRequest,
  type DevicesReply,
  type DevicesRequest,
  type EntityTypeRegistration,
  type ExplainReply,
  PLATFORM_TENANT,
  type RegistryListReply,
  subjects,
} from '@sync/protocol';
import { request } from '@sync/messaging';
import { silent } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';

let rig: GatewayRig;
let token: string;
/** Of somebody who runs the platform. */
let operator: string;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  rig = await GatewayRig.start();
  token = await rig.identity.token('t1', 'admin', { roles: ['sync-admin'] });
  operator = await rig.identity.token(PLATFORM_TENANT, 'operator', { roles: ['sync-operator'] });
});
afterAll(async () => {
  for (const stop of stops) await stop();
  await rig.stop();
});

async function admin(
  path: string,
  init: { method?: string; body?: unknown; token?: string } = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(new URL(`/admin/v1/${path}`, rig.url), {
    method: init.method ?? 'GET',
    headers: {
      authorization: `Bearer ${init.token ?? token}`,
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function answerOn(subject: string, answer: (body: unknown) => unknown): Promise<void> {
  const handle = async (body: unknown): Promise<unknown> => answer(body);
  const responder = new Responder({ nats: rig.nats, subject, queue: 'test', handle, logger: silent });
  await rig.nats.flush();
  stops.push(() => responder.stop());
}

function typeOf(entityType: string, more: Partial<EntityTypeRegistration> = {}): EntityTypeRegistration {
  return {
    entityType,
    schemaVersion: 1,
    policy: 'lww',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    ...more,
  };
}

/** A step of an upcaster that has a default of so many characters. */
function largeUpcaster(characters: number): Partial<EntityTypeRegistration> {
  const steps = [{ kind: 'default' as const, field: 'text', value: 'd'.repeat(characters) }];
  return { schemaVersion: 2, upcasters: [{ from: 1, steps }] };
}

describe('registrations', () => {
  const put = (service: string, entityTypes: readonly EntityTypeRegistration[]): ReturnType<typeof admin> =>
    admin(`registrations/${service}`, { method: 'PUT', body: { service, entityTypes }, token: operator });

  it('are stored, listed and shown', async () => {
    const { status, body } = await put('shop', [typeOf('order'), typeOf('cart')]);
    expect([status, body]).toMatchObject([
      200,
      { registration: { service: 'shop', entityTypes: [{ entityType: 'cart' }, { entityType: 'order' }] } },
    ]);
    expect((await admin('registrations')).body).toMatchObject({ registrations: [{ service: 'shop' }] });
    expect((await admin('registrations/shop')).status).toBe(200);
    expect(await admin('registrations/nobody')).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('are listed in pages', async () => {
    await put('page-a', [typeOf('page-a1')]);
    await put('page-b', [typeOf('page-b1')]);
    const services: string[] = [];
    for (let query = 'limit=1'; ;) {
      const { body } = await admin(`registrations?${query}`);
      const { registrations, next } = body as { registrations: { service: string }[]; next: string | null };
      expect(registrations).toHaveLength(1);
      services.push(...registrations.map(({ service }) => service));
      if (next === null) break;
      query = `limit=1&cursor=${next}`;
    }
    expect(services).toEqual([...services].sort());
    expect(services).toEqual(expect.arrayContaining(['page-a', 'page-b', 'shop']));
  });

  it('are told to other apps in as many messages as they need, type by type', async () => {
    const wide = Array.from({ length: 6 }, (_, place) => typeOf(`wide-${place}`, largeUpcaster(250_000)));
    for (const type of wide) await put('wide', [type]);
    const told: string[] = [];
    for (let after: string | null = null, first = true; first || after !== null; first = false) {
      const body = after === null ? {} : { after };
      const page: RegistryListReply = await request(rig.nats, subjects.registryList, body, {
        timeoutMs: 2_000,
      });
      told.push(
        ...page.registrations.flatMap(({ entityTypes }) => entityTypes.map(({ entityType }) => entityType)),
      );
      after = page.next ?? null;
    }
    expect(told).toEqual([...told].sort());
    expect(told).toEqual(expect.arrayContaining(wide.map(({ entityType }) => entityType)));
  });

  it('are refused with a type that fits no message', async () => {
    expect(await put('huge', [typeOf('huge', largeUpcaster(610_000))])).toMatchObject({
      status: 400,
      body: { code: 'registration_invalid', errors: [{ path: '/entityTypes/0' }] },
    });
  });

  it('come over NATS as well, and are known to another replica at once', async () => {
    const other = await rig.addGateway();
    const registration = { service: 'library', entityTypes: [typeOf('loan')] };
    expect(await request(rig.nats, subjects.register, registration, { timeoutMs: 2_000 })).toEqual({
      registered: ['loan'],
    });
    const listed = await request<{ registrations: { service: string }[] }>(
      rig.nats,
      subjects.registryList,
      {},
      { timeoutMs: 2_000 },
    );
    expect(listed.registrations.map(({ service }) => service)).toContain('library');
    const seen = async (): Promise<number> => {
      const url = new URL('/admin/v1/registrations/library', other.url);
      return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;
    };
    let status = await seen();
    for (let attempt = 0; attempt < 50 && status !== 200; attempt += 1) status = await seen();
    expect(status).toBe(200);
  });

  it('change nothing and say nothing when they say what is known', async () => {
    await put('repeater', [typeOf('repeated')]);
    const before = await countRegistrationEvents();
    await put('repeater', [typeOf('repeated')]);
    expect(await countRegistrationEvents()).toBe(before);
  });

  it('keep types that a service registered before', async () => {
    await put('growing', [typeOf('first')]);
    const { body } = await put('growing', [typeOf('second')]);
    expect(JSON.stringify(body)).toContain('"first"');
  });

  it('refuse a type of another service, also over NATS', async () => {
    await put('landlord', [typeOf('house')]);
    expect(await put('thief', [typeOf('house')])).toMatchObject({
      status: 409,
      body: { code: 'entity_type_taken', errors: [{ path: '/entityTypes/0/entityType' }] },
    });
    const attempt = request(
      rig.nats,
      subjects.register,
      { service: 'thief', entityTypes: [typeOf('house')] },
      { timeoutMs: 2_000 },
    );
    await expect(attempt).rejects.toMatchObject({ code: 'entity_type_taken' });
  });

  it('refuse a lower version, and another policy without a higher one', async () => {
    await put('versioned', [typeOf('thing', { schemaVersion: 3 })]);
    expect(await put('versioned', [typeOf('thing', { schemaVersion: 2 })])).toMatchObject({
      status: 400,
      body: { code: 'registration_invalid', errors: [{ path: '/entityTypes/0/schemaVersion' }] },
    });
    expect(
      await put('versioned', [typeOf('thing', { schemaVersion: 3, policy: 'append_only' })]),
    ).toMatchObject({
      status: 400,
      body: { code: 'registration_invalid', errors: [{ path: '/entityTypes/0/policy' }] },
    });
    expect(
      (await put('versioned', [typeOf('thing', { schemaVersion: 4, policy: 'append_only' })])).status,
    ).toBe(200);
  });

  it('name the offending place', async () => {
    expect(await put('bad', [{ ...typeOf('x'), policy: 'newest' as 'lww' }])).toMatchObject({
      status: 400,
      body: { code: 'schema_invalid', errors: [{ path: '/entityTypes/0/policy' }] },
    });
    const other = { service: 'other', entityTypes: [typeOf('x')] };
    expect(await admin('registrations/bad', { method: 'PUT', body: other, token: operator })).toMatchObject({
      status: 400,
      body: { code: 'registration_invalid', errors: [{ path: '/service' }] },
    });
  });
});

describe('access', () => {
  it('needs the role and keeps to the tenant of the token', async () => {
    const ordinary = await rig.identity.token('t1', 'learner');
    expect((await admin('devices', { token: ordinary })).status).toBe(403);
    expect((await admin('devices', { token: 'nonsense-nonsense-nonsense' })).status).toBe(401);
  });
});

describe('questions to other apps', () => {
  it('are 503 while the app is away', async () => {
    expect(await admin('devices')).toMatchObject({
      status: 503,
      body: { code: 'unavailable', detail: 'device-health does not answer' },
    });
    expect(await admin('conflicts')).toMatchObject({ status: 503 });
  });

  it('carry the tenant of the token and the filters', async () => {
    const asked: DevicesRequest[] = [];
    const empty: DevicesReply = { devices: [], next: null };
    await answerOn(subjects.deviceHealth, (body) => {
      asked.push(body as DevicesRequest);
      return empty;
    });
    expect(await admin('devices?status=stale&user=u1&limit=7&cursor=abc&tenantId=t2')).toMatchObject({
      status: 200,
      body: { ...empty, serverTime: expect.any(String) },
    });
    expect(await admin('devices/d1')).toMatchObject({ status: 404 });
    expect(asked).toEqual([
      { tenantId: 't1', cursor: 'abc', limit: 7, status: 'stale', userId: 'u1' },
      { tenantId: 't1', cursor: null, limit: 1, deviceId: 'd1' },
    ]);
  });

  it.each([
    ['devices?status=asleep', '/status'],
    ['devices?limit=0', '/limit'],
    ['devices?limit=many', '/limit'],
    ['devices?user=a%20b', '/user'],
    ['conflicts?entityType=No', '/entityType'],
    ['dead-letters?limit=501', '/limit'],
    ['explain?device=d1', '/entity'],
    ['purges/missing?cursor=%7B', '/cursor'],
  ])('refuse %s', async (path, offending) => {
    expect(await admin(path)).toMatchObject({
      status: 400,
      body: { code: 'schema_invalid', errors: [{ path: offending }] },
    });
  });

  it('replay dead letters, one or all', async () => {
    const asked: DeadLetterReplayRequest[] = [];
    await answerOn(subjects.deadLetterReplay, (body) => {
      const question = body as DeadLetterReplayRequest;
      asked.push(question);
      const unknown = question.deadLetterIds?.includes('missing');
      const failed = unknown ? [{ deadLetterId: 'missing', code: 'not_found', cause: '' }] : [];
      return { replayed: unknown ? 0 : 1, failed, remaining: { quarantined: 0 } };
    });
    expect(await admin('dead-letters/known/replay', { method: 'POST' })).toMatchObject({
      status: 200,
      body: { replayed: 1 },
    });
    expect(await admin('dead-letters/missing/replay', { method: 'POST' })).toMatchObject({ status: 404 });
    expect(
      await admin('dead-letters/replay', { method: 'POST', body: { entityType: 'note' } }),
    ).toMatchObject({ status: 200 });
    expect(await admin('dead-letters/replay', { method: 'POST' })).toMatchObject({ status: 200 });
    expect(asked).toEqual([
      { tenantId: 't1', deadLetterIds: ['known'] },
      { tenantId: 't1', deadLetterIds: ['missing'] },
      { tenantId: 't1', entityType: 'note' },
      { tenantId: 't1' },
    ]);
  });
});

describe('scopes, purges and explanations', () => {
  it('show what a user holds, which purge is missing, and why a device has or lacks an entity', async () => {
    const device = await rig.device('t1', 'u1');
    await admin('registrations/notes', {
      method: 'PUT',
      body: { service: 'notes', entityTypes: [typeOf('note')] },
      token: operator,
    });
    rig.projector.grant('t1', 'u1', 'course:c1').put('t1', 'course:c1', 'n1', { text: 'x' });
    await rig.ingest();
    await rig.nats.flush();
    const explain = async (): Promise<Record<string, unknown>> =>
      (await admin(`explain?device=${device.deviceId}&entity=note/n1`)).body;
    expect((await admin('scopes/u1')).body).toMatchObject({
      userId: 'u1',
      grants: [
        { scope: 'user:u1', sources: [] },
        { scope: 'course:c1', sources: [{ entityType: 'enrollment', entityId: 'e1' }] },
      ],
    });
    expect(await explain()).toMatchObject({
      has: false,
      userId: null,
      summary: expect.stringContaining('no sync of this device'),
    });

    const reply: ExplainReply = {
      entity: {
        revision: 1,
        clock: { 's:learning': 1 },
        deleted: false,
        schemaVersion: 1,
        projectedAt: new Date().toISOString(),
        scopes: [{ scope: 'course:c1', epoch: 'e1', sequence: null, headSequence: '1' }],
        grants: [],
      },
      deadLetter: null,
    };
    await answerOn(subjects.explain, () => reply);
    const pulled = await rig.call<{ scopes: { scope: string; cursor: string }[] }>(device, 'pull', {
      limit: 10,
    });
    expect(await explain()).toMatchObject({
      has: false,
      userId: 'u1',
      summary: expect.stringContaining('has not acked it yet'),
    });
    await rig.call(device, 'ack', {
      cursors: pulled.body.scopes.map(({ scope, cursor }) => ({ scope, cursor })),
    });
    const explained = await explain();
    expect(explained).toMatchObject({ has: true, summary: 'The device has note/n1 as it is now.' });

    rig.projector.grant('t1', 'u1', 'course:c1', false);
    await rig.ingest();
    expect(await explain()).toMatchObject({
      has: false,
      summary: expect.stringContaining('the user does not hold course:c1'),
    });
    expect((await admin('purges/missing')).body).toMatchObject({
      missing: [
        { userId: 'u1', deviceId: device.deviceId, scope: 'course:c1', revokedAt: expect.any(String) },
      ],
      next: null,
    });
    await rig.call(device, 'ack', { purged: ['course:c1'] });
    expect((await admin('purges/missing')).body).toMatchObject({ missing: [] });
  });
});

async function countRegistrationEvents(): Promise<number> {
  const rows = await rig.test.database.transaction((tx) =>
    tx.query(`SELECT FROM sync_outbox WHERE payload LIKE '%sync.registration.changed.v1%'`),
  );
  return rows.length;
}

it('the scopes of a user are listed in pages, with some of what grants each', async () => {
  await rig.test.database.inTenant('t1', (tx) =>
    tx.query(`INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
        ingest_partition, ingest_number)
      SELECT 't1', 'many', 'course:c' || (1000 + n % 5), 'enrollment', 'e' || (1000 + n), true, 1, 0, 0
      FROM generate_series(1, 150) AS n`),
  );
  type Scopes = { grants: { scope: string; sources: object[]; moreSources?: true }[]; next: string | null };
  const grants: Scopes['grants'] = [];
  for (let query = 'limit=4'; ;) {
    const page = (await admin(`scopes/many?${query}`)).body as unknown as Scopes;
    expect(page.grants.length).toBeLessThanOrEqual(4);
    grants.push(...page.grants);
    if (page.next === null) break;
    query = `limit=4&cursor=${page.next}`;
  }
  const courses = ['c1000', 'c1001', 'c1002', 'c1003', 'c1004'].map((course) => `course:${course}`);
  expect(grants.map(({ scope }) => scope)).toEqual(['user:many', ...courses]);
  expect(grants.map(({ sources }) => sources.length)).toEqual([0, 20, 20, 20, 20, 20]);
  expect(grants.map(({ moreSources }) => moreSources)).toEqual([undefined, ...courses.map(() => true)]);
  expect(await admin('scopes/many?cursor=abc')).toMatchObject({
    status: 400,
    body: { code: 'schema_invalid' },
  });
});
