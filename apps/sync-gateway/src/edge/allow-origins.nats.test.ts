import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { ConfigError } from '@sync/service-kit';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

const APP = 'https://app.example.com';
let rig: GatewayRig;
let device: TestDevice;

beforeAll(async () => {
  rig = await GatewayRig.start({ CORS_ORIGINS: `${APP}, http://localhost:*` });
  device = await rig.device();
});
afterAll(() => rig.stop());

const preflight = (origin: string, path = '/sync/v1/pull', url = rig.url): Promise<Response> =>
  fetch(new URL(path, url), {
    method: 'OPTIONS',
    headers: {
      ...{ origin, 'access-control-request-method': 'POST' },
      'access-control-request-headers': 'authorization,content-digest,signature,signature-input',
    },
  });

async function pull(origin: string, fields: Record<string, string> = {}): Promise<Response> {
  const url = new URL('/sync/v1/pull', rig.url);
  const signed = signedHeaders(device, 'POST', url, Buffer.from('{}'));
  return fetch(url, { method: 'POST', body: '{}', headers: { ...signed, ...fields, origin } });
}

const allowed = (answer: Response): string | null => answer.headers.get('access-control-allow-origin');
const listed = (answer: Response, field: string): string[] =>
  (answer.headers.get(field) ?? '').toLowerCase().split(/, ?/);

describe('a page of an origin that is allowed', () => {
  it.each([APP, 'http://localhost', 'http://localhost:5173'])('%s may ask for everything', async (origin) => {
    const answer = await preflight(origin);
    expect([answer.status, await answer.text()]).toEqual([204, '']);
    expect(allowed(answer)).toBe(origin);
    expect(listed(answer, 'access-control-allow-methods')).toEqual(['get', 'post']);
    const { authorization, ...others } = signedHeaders(
      device,
      'POST',
      new URL('/sync/v1/pull', rig.url),
      Buffer.from('{}'),
    );
    const sent = [...Object.keys({ authorization, ...others }), 'content-type', 'content-encoding'];
    expect(listed(answer, 'access-control-allow-headers')).toEqual(expect.arrayContaining(sent));
    expect(answer.headers.get('access-control-max-age')).toBe('7200');
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('reads an answer, when to come back, and what time it is', async () => {
    const answer = await pull(APP);
    expect([answer.status, allowed(answer)]).toEqual([200, APP]);
    expect(listed(answer, 'access-control-expose-headers')).toEqual(['date', 'retry-after', 'x-request-id']);
  });

  it('reads why it is refused', async () => {
    const answer = await pull(APP, { authorization: 'Bearer nonsense' });
    expect([answer.status, allowed(answer)]).toEqual([401, APP]);
    expect(((await answer.json()) as { code: string }).code).toBe('unauthenticated');
  });

  it('gets an answer that no cache gives to another page, or to one that cannot inflate it', async () => {
    for (let at = 0; at < 40; at += 1) rig.projector.put('t1', `user:${device.userId}`, `n${at}`);
    await rig.ingest();
    const answer = await pull(APP, { 'accept-encoding': 'gzip' });
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(listed(answer, 'vary').sort()).toEqual(['accept-encoding', 'origin']);
  });

  it('may not use the admin API', async () => {
    const answer = await preflight(APP, '/admin/v1/devices');
    expect([answer.status, allowed(answer)]).toEqual([404, null]);
  });
});

describe('any other page', () => {
  it.each([
    'https://evil.example',
    'https://app.example.com.evil.example',
    'https://app.example.com:8443',
    'https://appXexample.com',
    'http://app.example.com',
    'http://localhost.evil.example:80',
    'null',
  ])('%s reads nothing', async (origin) => {
    const answer = await preflight(origin);
    expect([answer.status, allowed(answer)]).toEqual([404, null]);
    expect(((await answer.json()) as { code: string }).code).toBe('not_found');
    expect(allowed(await pull(origin))).toBeNull();
  });

  it('is every page where none is allowed', async () => {
    const closed = await rig.addGateway();
    expect((await preflight(APP, '/sync/v1/pull', closed.url)).status).toBe(404);
  });
});

it('answers an OPTIONS that is no preflight as it does without', async () => {
  const answer = await fetch(new URL('/sync/v1/pull', rig.url), {
    method: 'OPTIONS',
    headers: { origin: APP },
  });
  expect(answer.status).toBe(404);
  expect(((await answer.json()) as { code: string }).code).toBe('not_found');
});

it('does not wait for the body of an OPTIONS', async () => {
  const { hostname, port } = new URL(rig.url);
  const socket = connect(Number(port), hostname);
  socket.write(`OPTIONS /sync/v1/pull HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 /);
});

it.each([
  '*',
  'app.example.com',
  'https://app.example.com/',
  'https://*.example.com',
  'https://App.example.com',
])('does not start with %j', async (origin) => {
  await expect(rig.addGateway({ CORS_ORIGINS: origin })).rejects.toThrow(ConfigError);
});
