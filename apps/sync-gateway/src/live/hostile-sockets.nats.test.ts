import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;

beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

/** A socket whose client shakes hands and then answers nothing, not even a close frame. */
async function rudeSocket(ticket: string): Promise<Socket> {
  const { hostname, port } = new URL(rig.url);
  const socket = connect(Number(port), hostname);
  const fields = ['host: a', 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
  const key = `sec-websocket-key: ${Buffer.alloc(16, 1).toString('base64')}`;
  socket.write([`GET /sync/v1/live?ticket=${ticket} HTTP/1.1`, ...fields, key, '', ''].join('\r\n'));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 101 /);
  return socket.resume();
}

const closed = (socket: Socket): Promise<true> => until(() => (socket.closed ? true : null));

async function ask(headers: Record<string, string>, url = rig.url): Promise<[number, string, string]> {
  const answer = await fetch(new URL('/sync/v1/tickets', url), { method: 'POST', headers });
  const { code = '', ticket = '' } = (await answer.json()) as { code?: string; ticket?: string };
  return [answer.status, code, ticket];
}

const requestOf = (device: TestDevice): Record<string, string> =>
  signedHeaders(device, 'POST', new URL('/sync/v1/tickets', rig.url), null);

it('a made-up ticket holds no place, though its client does not answer the close', async () => {
  const socket = await rudeSocket(`t1.${'a'.repeat(43)}`);
  expect(await closed(socket)).toBe(true);
  expect(await metric('sync_live_sockets')).toBe(0);
});

it('a revoked device is gone, though its client does not answer the close', async () => {
  const device = await rig.device();
  const [, , ticket] = await ask(requestOf(device));
  const socket = await rudeSocket(ticket);
  await until(async () => ((await metric('sync_live_sockets')) === 1 ? true : null));
  await rig.identity.revoke(device);
  expect(await closed(socket)).toBe(true);
});

it('a captured request for a ticket gets none on any replica', async () => {
  const other = await rig.addGateway();
  const device = await rig.device();
  const request = requestOf(device);
  expect((await ask(request))[0]).toBe(200);
  expect((await ask(request, other.url))[0]).toBe(200);
  await rig.test.database.inTenant('t1', (tx) =>
    tx.query(`UPDATE ticket_request SET used_at = used_at - interval '10 seconds'`),
  );
  for (const url of [rig.url, other.url]) {
    expect(await ask(request, url)).toEqual([401, 'signature_invalid', '']);
  }
  const later = signedHeaders(device, 'POST', new URL('/sync/v1/tickets', rig.url), null, 1_000);
  expect((await ask(later))[0]).toBe(200);
});

async function metric(name: string): Promise<number> {
  const text = await rig.gateway.foundation.metrics.registry.metrics();
  return Number(new RegExp(`^${name}[^\\n]* (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}
