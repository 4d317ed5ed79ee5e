import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { request } from '@sync/messaging';
import { type Outcome, type PullResponse, type PushResponse, subjects } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { mutationOf, TYPES } from './testing/push-rig.ts';
import { TestOwner } from './testing/test-owner.ts';

let rig: GatewayRig;
let owner: TestOwner;
let device: TestDevice;

beforeAll(async () => {
  rig = await GatewayRig.start({ OWNER_TIMEOUT_MS: '1000' });
  owner = new TestOwner(rig.nats, rig.test.database, TYPES);
  owner.projectsAtOnce = false;
  owner.start();
  const entityTypes = TYPES.map(({ service: _service, ...type }) => type);
  await request(rig.nats, subjects.register, { service: 'learning', entityTypes }, { timeoutMs: 2_000 });
});
afterAll(() => rig.stop());
beforeEach(async () => {
  owner.mode = 'answers';
  device = await rig.device();
});

const push = (body: unknown): ReturnType<typeof rig.call<PushResponse & Record<string, unknown>>> =>
  rig.call<PushResponse & Record<string, unknown>>(device, 'push', body);
const sentAt = (): string => new Date().toISOString();

describe('POST /sync/v1/push', () => {
  it('answers outcomes in order, and says them again in pulls until they are acked', async () => {
    const mutations = [mutationOf(device), mutationOf(device, { op: 'append' })];
    const { status, body } = await push({ sentAt: sentAt(), mutations });
    expect([status, Object.keys(body)]).toEqual([200, ['serverTime', 'outcomes']]);
    expect(body.outcomes.map(({ status: outcome }) => outcome)).toEqual(['applied', 'rejected']);
    const pulled = await rig.call<PullResponse>(device, 'pull', {});
    expect(pulled.body.outcomes).toEqual(expect.arrayContaining(body.outcomes));
    await rig.call(device, 'ack', { outcomes: mutations.map(({ mutationId }) => mutationId) });
    expect((await rig.call<PullResponse>(device, 'pull', {})).body.outcomes).toEqual([]);
  });

  it('stores each field under its own name, whatever objects came before', async () => {
    const names = ['\\', '"', '\n', '"quoted"', '\\n'];
    const mutations = names.map((name) => mutationOf(device, { data: { fields: [], [name]: name } }));
    // While they wait for their owner, they stand in the ledger as they came.
    owner.mode = 'deaf';
    const { body } = await push({ sentAt: sentAt(), mutations });
    expect(body.outcomes.map(({ status }) => status)).toEqual(names.map(() => 'accepted'));
    const rows = await rig.test.database.inTenant(device.tenantId, (tx) =>
      tx.query<{ payload: string }>(`SELECT payload FROM mutation WHERE device_id = $1 ORDER BY arrival`, [
        device.deviceId,
      ]),
    );
    for (const [place, name] of names.entries()) {
      expect(rows[place]?.payload).toContain(`${JSON.stringify(name)}:${JSON.stringify(name)}`);
    }
  });

  it('takes an empty push and a compressed one', async () => {
    expect((await push({ sentAt: sentAt(), mutations: [] })).body.outcomes).toEqual([]);
    const bytes = gzipSync(JSON.stringify({ sentAt: sentAt(), mutations: [mutationOf(device)] }));
    const headers = { 'content-encoding': 'gzip' };
    const { body } = await rig.call<PushResponse>(device, 'push', null, { bytes, headers });
    expect(body.outcomes).toMatchObject([{ status: 'applied' }]);
  });

  it.each([
    ['no body', undefined, 'schema_invalid', ''],
    ['no sentAt', { mutations: [] }, 'schema_invalid', '/sentAt'],
    ['an op that does not exist', { mutations: [{ op: 'upsert' }] }, 'schema_invalid', '/mutations/0/op'],
    [
      'an id that is none',
      { mutations: [{ mutationId: 'one' }] },
      'schema_invalid',
      '/mutations/0/mutationId',
    ],
    ['mutations that are no list', { mutations: {} }, 'schema_invalid', '/mutations'],
    ['501 mutations', { mutations: 501 }, 'limit_exceeded', '/mutations'],
    ['a bad backlog', { mutations: [], backlog: { pending: -1 } }, 'schema_invalid', '/backlog/pending'],
  ])('refuses %s as a whole and stores nothing', async (name, body, code, path) => {
    const good = mutationOf(device);
    const mutations =
      typeof body?.mutations === 'number'
        ? Array.from({ length: body.mutations }, () => mutationOf(device))
        : Array.isArray(body?.mutations)
          ? [...body.mutations.map((changes: object) => ({ ...mutationOf(device), ...changes })), good]
          : body?.mutations;
    const sent = name === 'no sentAt' ? { mutations } : { sentAt: sentAt(), ...body, mutations };
    const answer = await push(body === undefined ? undefined : sent);
    expect(answer).toMatchObject({ status: 400, body: { code, errors: [{ path }] } });
    const stored = await rig.test.database.inTenant(device.tenantId, (tx) =>
      tx.query(`SELECT FROM mutation WHERE device_id = $1`, [device.deviceId]),
    );
    expect(stored).toEqual([]);
  });

  it('holds a mutation whose owner does not answer, and brings the outcome in a pull that waits for it', async () => {
    owner.mode = 'deaf';
    const mutation = mutationOf(device);
    const { body } = await push({ sentAt: sentAt(), mutations: [mutation] });
    expect(body.outcomes).toEqual([
      { mutationId: mutation.mutationId, status: 'accepted', retryAfterMs: 500, scope: mutation.scope },
    ]);
    owner.mode = 'answers';
    const first = await rig.call<PullResponse>(device, 'pull', {});
    const scopes = first.body.scopes.map(({ scope, cursor }) => ({ scope, cursor }));
    const found: Outcome[] = [];
    for (let attempt = 0; attempt < 5 && found.length === 0; attempt += 1) {
      found.push(...(await rig.call<PullResponse>(device, 'pull', { scopes, waitMs: 5_000 })).body.outcomes);
    }
    expect(found).toMatchObject([{ mutationId: mutation.mutationId, status: 'applied' }]);
  });

  it('corrects times by the offset of the device’s clock', async () => {
    const decadeMs = 10 * 365 * 86_400_000;
    const shifted = (ms: number): string => new Date(Date.now() + decadeMs + ms).toISOString();
    const mutation = mutationOf(device, { occurredAt: shifted(-60_000) });
    await push({ sentAt: shifted(0), mutations: [mutation] });
    const occurredAt = Date.parse(owner.requests.at(-1)?.[0]?.occurredAt ?? '');
    expect(Math.abs(Date.now() - 60_000 - occurredAt)).toBeLessThan(10_000);
  });

  it('lets pushes of a device wait for the one before them, and refuses more than a few', async () => {
    owner.mode = 'deaf';
    const body = { sentAt: sentAt(), mutations: [mutationOf(device)] };
    const answers = await Promise.all(Array.from({ length: 12 }, () => push(body)));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(refused?.body['code']).toBe('rate_limited');
  });
});
