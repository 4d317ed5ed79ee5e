import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Priority } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;
let device: TestDevice;
let admin: string;
beforeAll(async () => {
  rig = await GatewayRig.start({ SHED_LOOP_DELAY_MS: '20' });
  device = await rig.device();
  admin = await rig.identity.token(device.tenantId, 'admin', { roles: ['sync-admin'] });
});
afterAll(() => rig.stop());

const metrics = async (opsUrl = rig.gateway.opsUrl): Promise<string> =>
  (await fetch(new URL('/metrics', opsUrl))).text();
const sentAt = (): string => new Date().toISOString();

/** A request of each priority, the highest first, and what it was answered. */
const ASK: readonly (readonly [Priority, () => Promise<{ status: number; headers: Headers }>])[] = [
  ['delivery', () => rig.call(device, 'ack', {})],
  ['push', () => rig.call(device, 'push', { sentAt: sentAt(), mutations: [] })],
  ['resync', () => rig.call(device, 'pull', {})],
  [
    'admin',
    () => fetch(new URL('/admin/v1/scopes/u1', rig.url), { headers: { authorization: `Bearer ${admin}` } }),
  ],
];

/** @returns the priorities that are refused now; each refusal says when to come back */
async function refusedNow(): Promise<Priority[]> {
  const refused: Priority[] = [];
  for (const [priority, ask] of ASK) {
    const { status, headers } = await ask();
    if (status === 200) continue;
    expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
    refused.push(priority);
  }
  return refused;
}

/** Takes the only thread again and again, as too much work would. */
function strain(): NodeJS.Timeout {
  return setInterval(() => {
    const untilMs = performance.now() + 150;
    while (performance.now() < untilMs);
  }, 1);
}

it('refuses admins first and deliveries last while it is late, nobody afterwards', async () => {
  expect(await refusedNow()).toEqual([]);
  const straining = strain();
  const seen: Priority[][] = [];
  while (seen.at(-1)?.length !== ASK.length) seen.push(await refusedNow());
  const health = await fetch(new URL('/health/ready', rig.gateway.opsUrl));
  const shown = await metrics();
  clearInterval(straining);
  const all = ASK.map(([priority]) => priority);
  for (const refused of seen) expect(refused).toEqual(all.slice(all.length - refused.length));
  expect(health.status).toBe(200);
  expect(shown).toMatch(/^sync_shed_priorities\{.*\} [1-4]$/m);
  for (const priority of all) {
    expect(shown).toMatch(new RegExp(`^sync_shed_requests_total{priority="${priority}",.*} [1-9]`, 'm'));
  }
  // While nobody asks: whoever comes after a pause is not refused for what was before it.
  await until(async () => /^sync_shed_priorities\{.*\} 0$/m.test(await metrics()) || null);
  expect(await refusedNow()).toEqual([]);
}, 60_000);

it('closes the connection of a client that does not read, and answers others meanwhile', async () => {
  // For clients that have a megabyte a second; on a busy machine this process reads late, too.
  const reading = { ANSWER_READ_MS: '3000', ANSWER_READ_BYTES_PER_SECOND: '1000000' };
  const { url, opsUrl } = await rig.addGateway(reading);
  const slow = await rig.device();
  const scope = `user:${slow.userId}`;
  for (let at = 0; at < 60; at += 1) {
    rig.projector.put(slow.tenantId, scope, `n${at}`, { text: 'x'.repeat(20_000) });
  }
  await rig.ingest();
  const body = JSON.stringify({ scopes: [{ scope, cursor: null }] });
  const signed = signedHeaders(slow, 'POST', new URL('/sync/v1/pull', url), Buffer.from(body));
  const fields = Object.entries({ host: 'gateway', ...signed, 'content-length': body.length });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const request = `POST /sync/v1/pull HTTP/1.1\r\n${lines}\r\n${body}`;
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).pause();
  const closed = once(socket, 'close');
  socket.on('error', () => undefined);
  // More than what the kernel takes on both sides.
  socket.write(request.repeat(20));
  await until(async () => /^sync_slow_answers_total\{.*\} [1-9]/m.test(await metrics(opsUrl)) || null);
  expect((await rig.call(device, 'ack', {}, { url })).status).toBe(200);
  socket.resume();
  await closed;
});
