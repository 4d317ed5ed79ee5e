import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

/** A bucket of two milliseconds, which a megabyte empties. */
const SMALL_BUCKET = { DEVICE_WORK_MS_PER_SECOND: '1', DEVICE_WORK_BURST_MS: '2' };

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

/** Sends a pull on a connection of its own. @returns the status of the answer */
async function send(url: string, device: TestDevice, body: Buffer, framing: string): Promise<number> {
  const signed = signedHeaders(device, 'POST', new URL('/sync/v1/pull', url), body);
  const lines = Object.entries({ host: 'gateway', connection: 'close', ...signed });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`POST /sync/v1/pull HTTP/1.1\r\n${head}${framing}`);
  return Number((await text(socket)).split(' ')[1]);
}

it('charges nobody for a body that is longer than any that is taken', async () => {
  const hostile = await rig.device('announced');
  const announced = await send(
    rig.url,
    hostile,
    Buffer.from('{}'),
    'content-length: 9000000000000000\r\n\r\n',
  );
  const others = [hostile, await rig.device('announced')];
  const after = await Promise.all(others.map((device) => rig.call(device, 'pull', {})));
  expect([announced, ...after.map(({ status }) => status)]).toEqual([413, 200, 200]);
});

it('charges for a body whose length nobody announced', async () => {
  const { url } = await rig.addGateway(SMALL_BUCKET);
  const device = await rig.device();
  const body = Buffer.from(JSON.stringify({ padding: 'x'.repeat(500_000) }));
  const chunk = `${body.length.toString(16)}\r\n${body.toString()}\r\n0\r\n\r\n`;
  const chunked = await send(url, device, body, `transfer-encoding: chunked\r\n\r\n${chunk}`);
  const next = await rig.call(device, 'pull', {}, { url });
  expect([chunked, next.status]).toEqual([200, 429]);
});
