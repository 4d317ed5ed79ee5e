import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { PLATFORM_TENANT, PROBLEM_CODES } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { signedHeaders } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';

let rig: GatewayRig;
let device: TestDevice;
let admin: string;

beforeAll(async () => {
  rig = await GatewayRig.start();
  device = await rig.device();
  admin = await rig.identity.token(PLATFORM_TENANT, 'operator', { roles: ['sync-operator', 'sync-admin'] });
});
afterAll(() => rig.stop());

/** Sends bytes as they are; resolves with everything that came back until the other side closed. */
function send(bytes: string): Promise<string> {
  const { hostname, port } = new URL(rig.url);
  const socket = connect(Number(port), hostname, () => socket.write(bytes));
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString()));
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.on('close', () => resolve(text)));
}

/** @returns status and code of the one problem document that a text is */
function problemIn(text: string): [number, string] {
  const head = text.slice(0, text.indexOf('\r\n\r\n'));
  expect(head).toMatch(/\r\ncontent-type: application\/problem\+json/i);
  expect(head).toMatch(/\r\ndate: /i);
  const body = JSON.parse(text.slice(head.length + 4)) as {
    code: string;
    serverTime: string;
    status: number;
  };
  expect(body.serverTime).toMatch(/^\d{4}-\d\d-\d\dT/);
  expect(Object.keys(PROBLEM_CODES)).toContain(body.code);
  expect(body.status).toBe(Number(head.slice(9, 12)));
  return [body.status, body.code];
}

const END = 'host: a\r\nconnection: close\r\n\r\n';
const UPGRADE = 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nhost: a\r\n';

describe('what is no request is answered with a problem document', () => {
  it.each([
    ['no HTTP at all', 'hello\r\n\r\n', 400, 'malformed_request'],
    ['a version that nobody knows', 'GET / HTTP/7.3\r\n\r\n', 400, 'malformed_request'],
    ['a method that nobody knows', `FOO / HTTP/1.1\r\n${END}`, 400, 'malformed_request'],
    ['a field without a colon', `GET / HTTP/1.1\r\nhost a\r\n${END}`, 400, 'malformed_request'],
    [
      'two lengths',
      `POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n${END}`,
      400,
      'malformed_request',
    ],
    [
      'a length and chunks',
      `POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n${END}`,
      400,
      'malformed_request',
    ],
    ['no host', 'GET /sync/v1/conflicts HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'malformed_request'],
    ['fields of 20 kB', `GET / HTTP/1.1\r\na: ${'x'.repeat(20_000)}\r\n${END}`, 431, 'headers_too_large'],
    ['a line of 20 kB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${END}`, 431, 'headers_too_large'],
    ['a path with a bad escape', `GET /% HTTP/1.1\r\n${END}`, 404, 'not_found'],
    [
      'half a surrogate pair in a path',
      `GET /admin/v1/devices/%ED%A0%80 HTTP/1.1\r\n${END}`,
      404,
      'not_found',
    ],
    [
      'a parameter that no id is as long as',
      `GET /admin/v1/devices/${'x'.repeat(129)} HTTP/1.1\r\n${END}`,
      404,
      'not_found',
    ],
    ['metrics, which are on a port for operators', `GET /metrics HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['metrics, escaped', `GET /%6detrics HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['readiness', `GET /health/ready HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['liveness', `GET /health/live HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['an unknown path', `GET /nowhere HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['a method of other servers', `PROPFIND /sync/v1/pull HTTP/1.1\r\n${END}`, 404, 'not_found'],
    ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${END}`, 405, 'method_not_allowed'],
    [
      'an upgrade of another path',
      `GET /nowhere HTTP/1.1\r\nconnection: upgrade, close\r\nupgrade: x\r\nhost: a\r\n\r\n`,
      404,
      'not_found',
    ],
    [
      'an upgrade that is no handshake',
      `GET /sync/v1/live HTTP/1.1\r\n${UPGRADE}\r\n`,
      400,
      'malformed_request',
    ],
    [
      'an upgrade to something else',
      `GET /sync/v1/live HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\nhost: a\r\n\r\n`,
      400,
      'malformed_request',
    ],
    ['an unknown expectation', `GET /nowhere HTTP/1.1\r\nexpect: the-unexpected\r\n${END}`, 404, 'not_found'],
  ])('%s', async (_what, bytes, status, code) => {
    expect(problemIn(await send(bytes))).toEqual([status, code]);
  });

  it('a request that could be upgraded, and has another path, is answered like any other', async () => {
    const url = new URL('/sync/v1/pull', rig.url);
    const fields = { ...signedHeaders(device, 'POST', url, Buffer.from('{}')), 'content-length': '2' };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    const upgrade = 'connection: upgrade, close\r\nupgrade: h2c\r\nhost: a\r\n';
    expect(await send(`POST /sync/v1/pull HTTP/1.1\r\n${lines.join('')}${upgrade}\r\n{}`)).toMatch(
      /^HTTP\/1.1 200 /,
    );
  });
});

describe('a parameter that no database can keep', () => {
  const cursor = Buffer.from(JSON.stringify(['a\0b'])).toString('base64url');
  const cursorOfThree = Buffer.from(JSON.stringify(['a', '\ud800', 'b'])).toString('base64url');
  it.each([
    ['devices?cursor=%00', '/cursor'],
    ['devices?user=a%00b', '/user'],
    ['devices?unknown=%00', '/unknown'],
    ['devices?a%00b=1', '/a\ufffdb'],
    ['devices?cursor=a&cursor=%00', '/cursor/1'],
    ['devices/a%00b', '/deviceId'],
    ['devices/d1?cursor=%00', '/cursor'],
    ['registrations?cursor=%00', '/cursor'],
    ['registrations/a%00b', '/service'],
    ['conflicts?cursor=%00', '/cursor'],
    ['conflicts/verify?cursor=%00', '/cursor'],
    ['conflicts/a%00b', '/id'],
    ['conflicts/a%00b/history', '/id'],
    ['dead-letters?cursor=%00', '/cursor'],
    ['scopes/a%00b', '/user'],
    ['scopes/u1?cursor=%00', '/cursor'],
    [`scopes/u1?cursor=${cursor}`, '/cursor'],
    ['purges/missing?cursor=%00', '/cursor'],
    [`purges/missing?cursor=${cursorOfThree}`, '/cursor'],
    ['explain?device=%00&entity=a/b', '/device'],
    ['devices?limit=1e9', '/limit'],
    ['devices?limit=-1', '/limit'],
    ['devices?limit=99999999999999999999', '/limit'],
    [`devices?cursor=${'x'.repeat(1_025)}`, '/cursor'],
    [`scopes/u1?cursor=${'x'.repeat(1_025)}`, '/cursor'],
    [`conflicts?entityType=${'x'.repeat(2_000)}`, '/entityType'],
  ])('is refused with its path: %s', async (path, offending) => {
    const answer = await fetch(new URL(`/admin/v1/${path}`, rig.url), {
      headers: { authorization: `Bearer ${admin}` },
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'schema_invalid', errors: [{ path: offending }] });
  });

  it.each([
    ['conflicts?cursor=%00', '/cursor'],
    ['conflicts/a%00b', '/id'],
    ['conflicts?x=%00', '/x'],
  ])('is refused of a device, too: %s', async (path, offending) => {
    const answer = await rig.call(device, path, null, { method: 'GET' });
    expect([answer.status, answer.body['errors']]).toMatchObject([400, [{ path: offending }]]);
  });

  it('a user and a device may have names of 128 characters', async () => {
    const answer = await fetch(new URL(`/admin/v1/scopes/${'u'.repeat(128)}`, rig.url), {
      headers: { authorization: `Bearer ${admin}` },
    });
    expect(answer.status).toBe(200);
  });
});
