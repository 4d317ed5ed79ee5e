import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type RunningPostgres, startPostgres } from '@sync/postgres/testing';
import type { PullResponse } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let postgres: RunningPostgres;
let rig: GatewayRig;

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  rig = await GatewayRig.start({}, postgres);
});
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
  expect((await fetch(`${rig.url}/health/ready`)).status).toBe(503);
  await postgres.restart();
  await until(async () => ((await rig.call(device, 'pull', { scopes })).status === 200 ? true : null));
  expect((await rig.call(device, 'ack', { cursors: scopes })).body['cursors']).toMatchObject([
    { status: 'advanced' },
  ]);
  rig.projector.put('t1', `user:${waiter.device.userId}`, 'n2');
  await rig.ingest();
  expect((await waiting).body.scopes[0]?.deltas).toMatchObject([{ entityId: 'n2' }]);
  expect((await fetch(`${rig.url}/health/ready`)).status).toBe(200);
});
