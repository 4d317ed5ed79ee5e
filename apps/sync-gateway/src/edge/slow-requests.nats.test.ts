import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;
let device: TestDevice;

beforeAll(async () => {
  rig = await GatewayRig.start({ HEADERS_ARRIVAL_MS: '700', REQUEST_ARRIVAL_MS: '1500' });
  device = await rig.device();
});
afterAll(() => rig.stop());

/** A connection on which everything stands that came back, and whether it was closed. */
interface Line {
  readonly socket: Socket;
  text: string;
  readonly closed: Promise<boolean>;
}

function dial(url: string): Line {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const line: Line = { socket, text: '', closed: promise };
  socket.on('data', (data: Buffer) => (line.text += data.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(true));
  return line;
}

/** Writes a byte again and again until the other side has closed the connection. */
async function trickle(line: Line, byte: string): Promise<void> {
  const timer = setInterval(() => line.socket.write(byte), 100);
  await line.closed;
  clearInterval(timer);
}

const head = (path: string, headers: Readonly<Record<string, string>>): string =>
  [
    `POST ${path} HTTP/1.1`,
    'host: gateway',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
    .join('\r\n')
    .concat('\r\n\r\n');

/** Status and code of the problem document that came. */
function problemOf({ text }: Line): [number, string] {
  expect(text).toMatch(/\r\ncontent-type: application\/problem\+json/i);
  const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { code: string; serverTime: string };
  expect(body.serverTime).toMatch(/^\d{4}-/);
  return [Number(text.slice(9, 12)), body.code];
}

const signed = (body: string, clockOffsetMs = 0): Record<string, string> => ({
  ...signedHeaders(device, 'POST', new URL('/sync/v1/pull', rig.url), Buffer.from(body), clockOffsetMs),
  'content-length': String(body.length),
});

describe('a request that never ends', () => {
  it.each([
    ['sends nothing', '', ''],
    ['sends its line byte by byte', 'POST /', 'a'],
    ['sends fields without end', 'POST /sync/v1/pull HTTP/1.1\r\nhost: a\r\n', 'a: b\r\n'],
  ])('is answered 408 and closed: one that %s', async (_what, first, again) => {
    const line = dial(rig.url);
    line.socket.write(first);
    if (again === '') await line.closed;
    else await trickle(line, again);
    if (first !== '') expect(problemOf(line)).toEqual([408, 'request_timeout']);
  });

  it('is answered 408 and closed, even one of a device that has proven itself', async () => {
    const line = dial(rig.url);
    line.socket.write(head('/sync/v1/pull', signed(`{"scopes":[],"x":"${'x'.repeat(10_000)}"}`)) + '{');
    await trickle(line, 'x');
    expect(problemOf(line)).toEqual([408, 'request_timeout']);
  });
});

describe('the body of whoever proves nothing is not waited for', () => {
  it.each([
    ['without a token', '/sync/v1/push', () => ({ 'content-length': '1000' }), [401, 'unauthenticated']],
    ['without a signature', '/sync/v1/pull', bearer, [401, 'signature_invalid']],
    ['with an old signature', '/sync/v1/pull', () => signed('{"limit":1}', -400_000), [401, 'clock_skew']],
    ['of an unknown device', '/sync/v1/pull', unknownDevice, [403, 'device_not_bound']],
    ['with a wrong signature', '/sync/v1/pull', forged, [401, 'signature_invalid']],
    ['of no administrator', '/admin/v1/dead-letters/replay', bearer, [403, 'forbidden']],
    ['to an unknown path', '/nowhere', () => ({ 'content-length': '1000' }), [404, 'not_found']],
    ['to an unknown path of devices', '/sync/v1/nowhere', bearer, [404, 'not_found']],
  ] as const)('%s', async (_what, path, headers, refusal) => {
    const line = dial(rig.url);
    line.socket.write(head(path, headers()));
    await waitFor(() => line.text.includes('}'));
    expect(problemOf(line)).toEqual(refusal);
    await trickle(line, 'x');
  });

  function bearer(): Record<string, string> {
    return { authorization: `Bearer ${device.accessToken}`, 'content-length': '1000' };
  }
  function unknownDevice(): Record<string, string> {
    const [owner, name] = [device, { ...device, deviceId: 'd-unknown' }];
    device = name;
    const headers = signed('{"limit":1}');
    device = owner;
    return headers;
  }
  function forged(): Record<string, string> {
    const headers = signed('{"limit":1}');
    return {
      ...headers,
      signature: (headers['signature'] ?? '').replace(/:./, (s) => (s === ':A' ? ':B' : ':A')),
    };
  }
});

async function waitFor(arrived: () => boolean): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!arrived() && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
}

it('a body that does not come at all with its digest is refused, also one that was announced nowhere', async () => {
  const line = dial(rig.url);
  const headers = signedHeaders(device, 'POST', new URL('/sync/v1/tickets', rig.url), null);
  line.socket.write(head('/sync/v1/tickets', { ...headers, 'transfer-encoding': 'chunked' }));
  line.socket.write('2\r\n{}\r\n0\r\n\r\n');
  await waitFor(() => line.text.includes('}'));
  expect(problemOf(line)).toEqual([401, 'signature_invalid']);
  line.socket.destroy();
});

it('a device that is revoked while its body comes is refused', async () => {
  const one = await rig.device();
  const body = `{"limit":1}`;
  const headers = signedHeaders(one, 'POST', new URL('/sync/v1/pull', rig.url), Buffer.from(body));
  const line = dial(rig.url);
  line.socket.write(head('/sync/v1/pull', { ...headers, 'content-length': String(body.length) }));
  await new Promise((resolve) => setTimeout(resolve, 300));
  await rig.identity.revoke(one);
  await until(async () => ((await rig.call(one, 'pull', {})).status === 403 ? true : null));
  // A body that comes at once is not asked about again.
  await new Promise((resolve) => setTimeout(resolve, 500));
  line.socket.write(body);
  await waitFor(() => line.text.includes('}'));
  expect(problemOf(line)).toEqual([403, 'device_revoked']);
  line.socket.destroy();
});

describe('connections on which nobody has proven who he is', () => {
  it('are bounded by address; those that were proven are not counted', async () => {
    const strict = await rig.addGateway({ MAX_UNPROVEN_CONNECTIONS: '3', HEADERS_ARRIVAL_MS: '60000' });
    const body = '{}';
    const proven = Array.from({ length: 3 }, () => dial(strict.url));
    for (const line of proven) line.socket.write(head('/sync/v1/pull', signed(body)) + body);
    for (const line of proven) await waitFor(() => line.text.includes('serverTime'));
    const silent = Array.from({ length: 3 }, () => dial(strict.url));
    await Promise.all(silent.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    const refused = dial(strict.url);
    await refused.closed;
    expect(problemOf(refused)).toEqual([503, 'unavailable']);
    expect(refused.text).toMatch(/retry-after: 5/i);
    silent[0]?.socket.destroy();
    await silent[0]?.closed;
    for (const line of proven) {
      line.text = '';
      line.socket.write(head('/sync/v1/pull', signed(body)) + body);
      await waitFor(() => line.text.includes('serverTime'));
      expect(line.text).toMatch(/^HTTP\/1.1 200/);
    }
    for (const { socket } of [...proven, ...silent]) socket.destroy();
  });

  it('are bounded in all', async () => {
    const strict = await rig.addGateway({ MAX_CONNECTIONS: '2' });
    const lines = [dial(strict.url), dial(strict.url)];
    await Promise.all(lines.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    const third = dial(strict.url);
    await third.closed;
    expect(lines.map(({ socket }) => socket.destroyed)).toEqual([false, false]);
    for (const { socket } of lines) socket.destroy();
  });
});
