import { createHash, createHmac, randomUUID } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { httpbis } from 'http-message-signatures';
import {
  type DeviceCredentials,
  type DriverDevice,
  bindDevice,
  callGateway,
  revokeDevice,
  signRequest,
} from '@sync/e2e-device';
import { boundUser, fresh, platform } from './kit/platform.ts';

interface Sent {
  readonly status: number;
  readonly body: { code?: string; serverTime?: string; retryable?: boolean; status?: number; type?: string };
  readonly headers: Headers;
}

/** Sends exactly these headers and bytes to pull, signed by `change` of a good request. */
async function sendPull(
  credentials: DeviceCredentials,
  change: (headers: Record<string, string>) => Record<string, string>,
  options: { sent?: Uint8Array; createdSeconds?: number; query?: string } = {},
): Promise<Sent> {
  const url = new URL(`/sync/v1/pull${options.query ?? ''}`, platform().gateway);
  const body = Buffer.from('{"limit":1}');
  const created = options.createdSeconds ?? Math.floor(Date.now() / 1000);
  const { headers } = signRequest(credentials, 'POST', url, body, created);
  const answer = await fetch(url, {
    method: 'POST',
    headers: change(headers),
    body: Buffer.from(options.sent ?? body),
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Sent['body'] };
}

const same = (headers: Record<string, string>): Record<string, string> => headers;
const without =
  (name: string) =>
  (headers: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));

describe('who is calling', () => {
  let device: DriverDevice;
  let tenantId: string;
  let userId: string;

  beforeAll(async () => {
    ({ device, tenantId, userId } = await boundUser());
  });

  it('answers a correctly signed request', async () => {
    expect((await sendPull(device.credentials, same)).status).toBe(200);
  });

  it('answers a request that another implementation of RFC 9421 has signed', async () => {
    const { deviceId, accessToken, hmacKey } = device.credentials;
    const body = Buffer.from('{"limit":1}');
    const headers = {
      authorization: `Bearer ${accessToken}`,
      'content-type': 'application/json',
      'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
    };
    const sign = async (base: Buffer) =>
      createHmac('sha256', Buffer.from(hmacKey, 'base64')).update(base).digest();
    for (const fields of [
      ['@method', '@path', '@query', 'content-digest', 'authorization'],
      ['authorization', 'content-digest', '@query', '@path', '@method'],
    ]) {
      const url = `${platform().gateway}/sync/v1/pull?a=1&b=%2F`;
      const key = { id: deviceId, alg: 'hmac-sha256', sign };
      const params = ['created', 'keyid', 'alg'];
      const message = { method: 'POST', url, headers };
      const signed = await httpbis.signMessage({ key, name: 'sync', fields, params }, message);
      expect((await fetch(url, { ...signed, body })).status).toBe(200);
    }
  });

  it('covers the query in the signature', async () => {
    expect((await sendPull(device.credentials, same, { query: '?a=1' })).status).toBe(200);
    const url = new URL('/sync/v1/pull', platform().gateway);
    const body = Buffer.from('{"limit":1}');
    const { headers } = signRequest(device.credentials, 'POST', url, body, Math.floor(Date.now() / 1000));
    const moved = await fetch(`${url.href}?a=1`, { method: 'POST', headers, body });
    expect([moved.status, ((await moved.json()) as Sent['body']).code]).toEqual([401, 'signature_invalid']);
  });

  it.each([
    ['no token', without('authorization'), 'unauthenticated'],
    [
      'a token that is none',
      (h: Record<string, string>) => ({ ...h, authorization: 'Bearer aaaaaaaaaaaaaaaaaaaaaaaaa' }),
      'unauthenticated',
    ],
    ['no signature', without('signature'), 'signature_invalid'],
    ['no signature input', without('signature-input'), 'signature_invalid'],
    ['no content digest', without('content-digest'), 'signature_invalid'],
    [
      'another label',
      (h: Record<string, string>) => ({
        ...h,
        'signature-input': (h['signature-input'] ?? '').replace('sync=', 'sig1='),
      }),
      'signature_invalid',
    ],
    [
      'a signature of zeros',
      (h: Record<string, string>) => ({ ...h, signature: `sync=:${'A'.repeat(43)}=:` }),
      'signature_invalid',
    ],
    [
      'a signature of another length',
      (h: Record<string, string>) => ({ ...h, signature: 'sync=:AAAA:' }),
      'signature_invalid',
    ],
  ])('refuses %s', async (_name, change, code) => {
    const { status, body } = await sendPull(device.credentials, change);
    expect([status, body.code]).toEqual([401, code]);
  });

  it('refuses a body that is not the one that was signed', async () => {
    const { status, body } = await sendPull(device.credentials, same, { sent: Buffer.from('{"limit":2}') });
    expect([status, body.code]).toEqual([401, 'signature_invalid']);
  });

  it('refuses a signature that leaves the body uncovered', async () => {
    const url = new URL('/sync/v1/pull', platform().gateway);
    const created = Math.floor(Date.now() / 1000);
    const { headers } = signRequest(device.credentials, 'POST', url, null, created);
    const body = Buffer.from('{"limit":1}');
    const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'content-digest': digest },
      body,
    });
    expect([answer.status, ((await answer.json()) as Sent['body']).code]).toEqual([401, 'signature_invalid']);
  });

  it('refuses another key for the same device', async () => {
    const forged = { ...device.credentials, hmacKey: createHmac('sha256', 'x').update('y').digest('base64') };
    const { status, body } = await sendPull(forged, same);
    expect([status, body.code]).toEqual([401, 'signature_invalid']);
  });

  it.each([[-3_600], [3_600]])(
    'answers clock_skew with serverTime for a clock that is %i s off, and a corrected one succeeds',
    async (offSeconds) => {
      const skewed = await sendPull(device.credentials, same, {
        createdSeconds: Math.floor(Date.now() / 1000) + offSeconds,
      });
      expect([skewed.status, skewed.body.code, skewed.body.retryable]).toEqual([401, 'clock_skew', true]);
      const serverSeconds = Math.floor(Date.parse(skewed.body.serverTime ?? '') / 1000);
      expect((await sendPull(device.credentials, same, { createdSeconds: serverSeconds })).status).toBe(200);
    },
  );

  it('accepts a clock within 300 s', async () => {
    expect(
      (await sendPull(device.credentials, same, { createdSeconds: Math.floor(Date.now() / 1000) - 290 }))
        .status,
    ).toBe(200);
  });

  it('refuses a device that is not bound to the token’s user', async () => {
    const stranger = await bindDevice(platform(), tenantId, fresh('u'));
    const mixed = { ...stranger, accessToken: device.credentials.accessToken };
    const { status, body } = await sendPull(mixed, same);
    expect([status, body.code]).toEqual([403, 'device_not_bound']);
    const unknown = { ...device.credentials, deviceId: randomUUID() };
    expect((await sendPull(unknown, same)).body.code).toBe('device_not_bound');
  });

  it('refuses a device of another tenant', async () => {
    const foreign = await bindDevice(platform(), fresh('t'), userId);
    const mixed = { ...foreign, accessToken: device.credentials.accessToken };
    expect((await sendPull(mixed, same)).body.code).toBe('device_not_bound');
  });

  it('refuses a revoked device within one second, for ever', async () => {
    const credentials = await bindDevice(platform(), tenantId, userId);
    expect((await sendPull(credentials, same)).status).toBe(200);
    await revokeDevice(platform(), credentials.deviceId);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { status, body } = await sendPull(credentials, same);
    expect([status, body.code]).toEqual([403, 'device_revoked']);
  });

  it('answers a replayed request the same', async () => {
    const url = new URL('/sync/v1/pull', platform().gateway);
    const body = Buffer.from('{"limit":1}');
    const { headers } = signRequest(device.credentials, 'POST', url, body, Math.floor(Date.now() / 1000));
    const answers = await Promise.all([1, 2, 3].map(() => fetch(url, { method: 'POST', headers, body })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('reads a %s body, digested as it was sent', async (encoding, compress) => {
    const url = new URL('/sync/v1/pull', platform().gateway);
    const body = compress(Buffer.from('{"limit":1}'));
    const { headers } = signRequest(device.credentials, 'POST', url, body, Math.floor(Date.now() / 1000));
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-encoding': encoding },
      body,
    });
    expect(answer.status).toBe(200);
  });

  it('says on every response what time it is', async () => {
    const good = await sendPull(device.credentials, same);
    const bad = await sendPull(device.credentials, without('authorization'));
    for (const answer of [good, bad]) {
      expect(answer.headers.get('date')).toBeTruthy();
      expect(answer.body.serverTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });

  it('answers errors as problem+json with type, title, status, detail, code and retryable', async () => {
    const answer = await callGateway(platform().gateway, device.credentials, '/sync/v1/pull', { limit: 0 });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ status: 400, retryable: false, code: expect.any(String) as string });
    for (const member of ['type', 'title', 'detail', 'serverTime'])
      expect(typeof answer.body[member]).toBe('string');
  });
});
