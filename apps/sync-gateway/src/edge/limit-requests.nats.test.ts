import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { GatewayRig } from '../testing/gateway-rig.ts';

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start({ REQUEST_LIMIT_MS: '500' });
});
afterAll(() => rig.stop());

it('answers 503 with Retry-After in the end, and not before the time for which a pull was asked to wait', async () => {
  const device = await rig.device();
  const first = await rig.call<{ scopes: { scope: string; cursor: string }[] }>(device, 'pull', {});
  const scopes = first.body.scopes.map(({ scope, cursor }) => ({ scope, cursor }));
  const waited = await rig.call(device, 'pull', { scopes, waitMs: 1_500 });
  expect(waited.status).toBe(200);
  // An app that is asked and says nothing: the question itself would be given up after five seconds.
  rig.nats.subscribe('sync.>', { callback: () => undefined });
  await rig.nats.flush();
  const late = await rig.call(device, 'conflicts', null, { method: 'GET' });
  expect([late.status, late.body['code'], late.body['retryable']]).toEqual([503, 'unavailable', true]);
  expect(late.body['detail']).toMatch(/^No answer in time/);
  expect(late.headers.get('retry-after')).not.toBeNull();
  expect((await rig.call(device, 'pull', {})).status).toBe(200);
});
