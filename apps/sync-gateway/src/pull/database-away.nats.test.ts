import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import { PLATFORM_TENANT, type PullResponse, type PushResponse, subjects } from '@sync/protocol';
import { request } from '@sync/messaging';
import { mutationOf, TYPES } from '../push/testing/push-rig.ts';
import { TestOwner } from '../push/testing/test-owner.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';
import { pullsWait } from '../testing/waiting-pulls.ts';

let postgres: RunningPostgres;
let rig: GatewayRig;
let owner: TestOwner;

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  rig = await GatewayRig.start({ DATABASE_ANSWER_MS: '4000' }, postgres);
  owner = new TestOwner(rig.nats, rig.test.database, TYPES);
  owner.projectsAtOnce = false;
  owner.start();
  const entityTypes = TYPES.map(({ service: _service, ...type }) => type);
  await request(rig.nats, subjects.register, { service: 'learning', entityTypes }, { timeoutMs: 2_000 });
});
afterEach(() => postgres.kill('SIGCONT'));
afterAll(async () => {
  await rig.stop();
  await postgres.stop();
});

async function caughtUp(): Promise<{ device: TestDevice; scopes: object[] }> {
  const device = await rig.device();
  const scope = `user:${device.userId}`;
  rig.projector.put('t1', scope, 'n1');
  await rig.ingest();
  const answer = await rig.call<PullResponse>(device, 'pull', { scopes: [{ scope, cursor: null }] });
  const scopes = answer.body.scopes.map((page) => ({ scope: page.scope, cursor: page.cursor }));
  await rig.call(device, 'pull', { scopes });
  return { device, scopes };
}

it('answers 503 while Postgres is away, keeps waiting pulls waiting, and recovers by itself', async () => {
  const { device, scopes } = await caughtUp();
  const waiter = await caughtUp();
  const waiting = rig.call<PullResponse>(waiter.device, 'pull', { scopes: waiter.scopes, waitMs: 30_000 });
  await pullsWait(rig.gateway.opsUrl, 1);
  await postgres.kill('SIGKILL');
  const refusals = await until(async () => {
    const answers = await Promise.all([
      rig.call(device, 'pull', {}),
      rig.call(device, 'ack', { cursors: scopes }),
      rig.call(device, 'tickets', {}),
    ]);
    return answers.every(({ status }) => status !== 200) ? answers : null;
  });
  for (const { status, body, headers } of refusals) {
    expect([status, body['code'], body['retryable']]).toEqual([503, 'unavailable', true]);
    expect(headers.get('retry-after')).not.toBeNull();
  }
  expect((await fetch(`${rig.gateway.opsUrl}/health/ready`)).status).toBe(503);
  await postgres.restart();
  await until(async () => ((await rig.call(device, 'pull', { scopes })).status === 200 ? true : null));
  expect((await rig.call(device, 'ack', { cursors: scopes })).body['cursors']).toMatchObject([
    { status: 'advanced' },
  ]);
  rig.projector.put('t1', `user:${waiter.device.userId}`, 'n2');
  await rig.ingest();
  expect((await waiting).body.scopes[0]?.deltas).toMatchObject([{ entityId: 'n2' }]);
  expect((await fetch(`${rig.gateway.opsUrl}/health/ready`)).status).toBe(200);
});

/** Asks for something as somebody who may everything. */
async function admin(path: string, put?: object): Promise<{ status: number; headers: Headers }> {
  const token = await rig.identity.token(PLATFORM_TENANT, 'operator', {
    roles: ['sync-operator', 'sync-admin'],
  });
  const body = put === undefined ? {} : { method: 'PUT', body: JSON.stringify(put) };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return fetch(new URL(`/admin/v1/${path}`, rig.url), { headers, ...body });
}

const PATIENCE_MS = 120_000;

it(
  'answers 503 in time while Postgres is there and silent, loses nothing, and recovers by itself',
  async () => {
    const { device, scopes } = await caughtUp();
    const anew = scopes.map((each) => ({ ...each, cursor: null }));
    const mutation = mutationOf(device);
    const push = () =>
      rig.call<PushResponse>(device, 'push', { sentAt: new Date().toISOString(), mutations: [mutation] });
    const registration = { service: 'other', entityTypes: [{ ...TYPES[0], entityType: 'other' }] };
    await postgres.kill('SIGSTOP');
    // Twice: at first connections that were open get no answer, then new ones.
    for (const _round of [1, 2]) {
      const answers = await Promise.all([
        rig.call(device, 'pull', {}),
        rig.call(device, 'pull', { scopes: anew, waitMs: 30_000 }),
        rig.call(device, 'ack', { cursors: scopes }),
        rig.call(device, 'tickets', {}),
        push(),
        admin(`scopes/${device.userId}`),
        admin('purges/missing'),
        admin(`explain?device=${device.deviceId}&entity=note/n1`),
        admin('registrations/other', registration),
      ]);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
      for (const { headers } of answers) expect(headers.get('retry-after')).not.toBeNull();
    }
    expect((await fetch(`${rig.gateway.opsUrl}/health/ready`)).status).toBe(503);
    expect((await fetch(`${rig.gateway.opsUrl}/metrics`)).status).toBe(200);
    await postgres.kill('SIGCONT');
    const retried = await until(async () => {
      const answer = await push();
      return answer.status === 200 ? answer.body.outcomes : null;
    });
    // One that was received before Postgres fell silent is ended in the background.
    const ended = retried[0]?.status === 'accepted' ? await pulledOutcome(device) : retried[0];
    expect(ended).toMatchObject({ mutationId: mutation.mutationId, status: 'applied' });
    expect(owner.applied).toEqual([mutation.mutationId]);
    expect((await rig.call(device, 'ack', { cursors: scopes })).status).toBe(200);
    expect((await fetch(`${rig.gateway.opsUrl}/health/ready`)).status).toBe(200);
  },
  PATIENCE_MS,
);

function pulledOutcome(device: TestDevice): Promise<unknown> {
  return until(async () => (await rig.call<PullResponse>(device, 'pull', {})).body.outcomes[0]);
}
