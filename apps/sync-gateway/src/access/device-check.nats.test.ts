import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { Answer } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;
let device: TestDevice;

beforeAll(async () => {
  rig = await GatewayRig.start();
  device = await rig.device();
});
afterAll(() => rig.stop());

/** The refusal's status and code; every refusal is a problem document with server time. */
function refusal({ status, headers, body }: Answer): [number, unknown] {
  expect(headers.get('content-type')).toContain('application/problem+json');
  expect(headers.get('date')).not.toBeNull();
  expect(body['serverTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(body['status']).toBe(status);
  return [status, body['code']];
}

it('lets a signed request of a bound device through', async () => {
  const answer = await rig.call(device, 'pull', {});
  expect(answer.status).toBe(200);
  expect(answer.headers.get('date')).not.toBeNull();
  expect(answer.body['serverTime']).toBeDefined();
});

describe('the token', () => {
  it.each([
    ['is missing', (headers: Record<string, string>) => delete headers['authorization']],
    [
      'is not one',
      (headers: Record<string, string>) => (headers['authorization'] = 'Bearer not.a.token.at.all.really'),
    ],
    ['is of another scheme', (headers: Record<string, string>) => (headers['authorization'] = 'Basic dTpw')],
  ])('%s', async (_name, tamper) => {
    const answer = await rig.call(device, 'pull', {}, { tamper: (headers) => void tamper(headers) });
    expect(refusal(answer)).toEqual([401, 'unauthenticated']);
  });

  it('is of another issuer', async () => {
    const accessToken = await rig.identity.token('t1', device.userId, { iss: 'https://elsewhere' });
    expect(refusal(await rig.call({ ...device, accessToken }, 'pull', {}))).toEqual([401, 'unauthenticated']);
  });

  it('of another user does not go with this device', async () => {
    const accessToken = await rig.identity.token('t1', 'somebody-else');
    expect(refusal(await rig.call({ ...device, accessToken }, 'pull', {}))).toEqual([
      403,
      'device_not_bound',
    ]);
  });

  it('of another tenant does not go with this device', async () => {
    const accessToken = await rig.identity.token('t2', device.userId);
    expect(refusal(await rig.call({ ...device, accessToken }, 'pull', {}))).toEqual([
      403,
      'device_not_bound',
    ]);
  });
});

describe('the signature', () => {
  const forgeries: [string, (headers: Record<string, string>) => void][] = [
    ['is missing', (headers) => delete headers['signature']],
    ['has no input', (headers) => delete headers['signature-input']],
    ['has no digest', (headers) => delete headers['content-digest']],
    [
      'is of another label',
      (headers) => (headers['signature'] = (headers['signature'] ?? '').replace('sync=', 'sig=')),
    ],
    [
      'covers too little',
      (headers) => {
        headers['signature-input'] = (headers['signature-input'] ?? '').replace(' "content-digest"', '');
      },
    ],
    [
      'is of another time',
      (headers) => {
        const input = headers['signature-input'] ?? '';
        headers['signature-input'] = input.replace(
          /created=(\d+)/,
          (_all, at: string) => `created=${Number(at) - 1}`,
        );
      },
    ],
    [
      'has another digest',
      (headers) => {
        headers['content-digest'] = `sha-256=:${createHash('sha256').update('x').digest('base64')}:`;
      },
    ],
    [
      'stands among 32 of others',
      (headers) => {
        const others = Array.from({ length: 32 }, (_each, at) => `, a${at}=1`).join('');
        headers['signature'] = (headers['signature'] ?? '') + others;
      },
    ],
    [
      'is of another algorithm',
      (headers) => {
        headers['signature-input'] = (headers['signature-input'] ?? '').replace(
          'hmac-sha256',
          'rsa-v1_5-sha256',
        );
      },
    ],
  ];
  it.each(forgeries)('%s', async (_name, tamper) => {
    expect(refusal(await rig.call(device, 'pull', {}, { tamper }))).toEqual([401, 'signature_invalid']);
  });

  it('is made with another key', async () => {
    const hmacKey = Buffer.alloc(32, 7).toString('base64');
    expect(refusal(await rig.call({ ...device, hmacKey }, 'pull', {}))).toEqual([401, 'signature_invalid']);
  });

  it('is of another path or query', async () => {
    const signedForAck = await rig.call(
      device,
      'ack',
      {},
      {
        tamper: (headers) => {
          const other = headers['signature'] ?? '';
          headers['signature'] = other.replace(/:./, (start) => `:${start[1] === 'A' ? 'B' : 'A'}`);
        },
      },
    );
    expect(refusal(signedForAck)).toEqual([401, 'signature_invalid']);
    expect((await rig.call(device, 'pull?x=1', {})).status).toBe(200);
  });

  it('of a body that was changed on the way', async () => {
    const bytes = new TextEncoder().encode('{"limit":1}');
    const url = new URL('/sync/v1/pull', rig.url);
    const { signedHeaders } = await import('../testing/signed-call.ts');
    const headers = signedHeaders(device, 'POST', url, bytes);
    const response = await fetch(url, { method: 'POST', headers, body: '{"limit":2}' });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ code: 'signature_invalid' });
  });
});

describe('the clock', () => {
  it.each([-301_000, 301_000, 10 * 365 * 86_400_000])(
    '%i ms off costs one round trip',
    async (clockOffsetMs) => {
      const first = await rig.call(device, 'pull', {}, { clockOffsetMs });
      expect(refusal(first)).toEqual([401, 'clock_skew']);
      const correction = Date.parse(String(first.body['serverTime'])) - (Date.now() + clockOffsetMs);
      const second = await rig.call(device, 'pull', {}, { clockOffsetMs: clockOffsetMs + correction });
      expect(second.status).toBe(200);
    },
  );

  it('may be up to 300 s off', async () => {
    expect((await rig.call(device, 'pull', {}, { clockOffsetMs: -290_000 })).status).toBe(200);
    expect((await rig.call(device, 'pull', {}, { clockOffsetMs: 290_000 })).status).toBe(200);
  });

  it('is told before the device is asked about', async () => {
    const stranger = { ...device, deviceId: 'd-unknown' };
    expect(refusal(await rig.call(stranger, 'pull', {}, { clockOffsetMs: -900_000 }))).toEqual([
      401,
      'clock_skew',
    ]);
  });
});

describe('the device', () => {
  it('is unknown', async () => {
    expect(refusal(await rig.call({ ...device, deviceId: 'd-unknown' }, 'pull', {}))).toEqual([
      403,
      'device_not_bound',
    ]);
  });

  it('is asked about once for many requests', async () => {
    const one = await rig.device();
    const before = rig.identity.asked;
    await Promise.all(Array.from({ length: 8 }, () => rig.call(one, 'pull', {})));
    expect(rig.identity.asked - before).toBe(1);
  });

  it('is refused as soon as it is revoked', async () => {
    const one = await rig.device();
    expect((await rig.call(one, 'pull', {})).status).toBe(200);
    await rig.identity.revoke(one);
    const answer = await until(async () => {
      const next = await rig.call(one, 'pull', {});
      return next.status === 200 ? null : next;
    });
    expect(refusal(answer)).toEqual([403, 'device_revoked']);
  });

  it('is reported once when it is revoked, with two replicas too', async () => {
    const other = await rig.addGateway();
    const one = await rig.device();
    await rig.identity.revoke(one);
    await rig.call(one, 'pull', {});
    await rig.call(one, 'pull', {}, { url: other.url });
    const events = await until(async () => {
      const rows = await rig.test.database.call<{ payload: string }>(
        'revoked_test',
        `SELECT payload FROM sync_outbox WHERE payload LIKE '%sync.device.revoked.v1%' AND payload LIKE '%' || $1 || '%'`,
        [one.deviceId],
      );
      return rows.length > 0 ? rows : null;
    });
    expect(events).toHaveLength(1);
  });
});

describe('the body', () => {
  const small = { scopes: [], limit: 1 };

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('may be %s; its digest covers the bytes as sent', async (encoding, pack) => {
    const bytes = pack(JSON.stringify(small));
    const headers = { 'content-encoding': encoding };
    expect((await rig.call(device, 'pull', null, { bytes, headers })).status).toBe(200);
  });

  it('that inflates beyond 8 MiB is refused', async () => {
    for (const [encoding, pack] of [
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
    ] as const) {
      const bytes = pack(Buffer.alloc(20_000_000, 0x20));
      expect(bytes.length).toBeLessThan(1_048_576);
      const answer = await rig.call(device, 'pull', null, {
        bytes,
        headers: { 'content-encoding': encoding },
      });
      expect(refusal(answer)).toEqual([413, 'payload_too_large']);
    }
  });

  it('beyond 1 MiB as sent is refused', async () => {
    const bytes = Buffer.alloc(1_048_577, 0x20);
    expect(refusal(await rig.call(device, 'pull', null, { bytes }))).toEqual([413, 'payload_too_large']);
  });

  const broken: [string, Uint8Array, Record<string, string>, number, string][] = [
    ['no JSON', Buffer.from('{'), {}, 400, 'malformed_json'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'malformed_json'],
    ['damaged gzip', Buffer.from('not gzip'), { 'content-encoding': 'gzip' }, 400, 'malformed_json'],
    ['nested too deep', Buffer.from('['.repeat(33) + ']'.repeat(33)), {}, 400, 'limit_exceeded'],
    ['of another type', Buffer.from('<a/>'), { 'content-type': 'text/xml' }, 415, 'unsupported_media_type'],
    ['of another coding', Buffer.from('{}'), { 'content-encoding': 'zstd' }, 415, 'unsupported_media_type'],
    [
      'of another charset',
      Buffer.from('{}'),
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'unsupported_media_type',
    ],
    ['no object', Buffer.from('[]'), {}, 400, 'schema_invalid'],
    ['empty', Buffer.from(''), {}, 400, 'schema_invalid'],
  ];
  it.each(broken)('is %s', async (_name, bytes, headers, status, code) => {
    expect(refusal(await rig.call(device, 'pull', null, { bytes, headers }))).toEqual([status, code]);
  });

  it('of a stranger is not even looked at', async () => {
    const stranger = { ...device, accessToken: 'nobody.nobody.nobody.nobody' };
    const bytes = Buffer.from('{');
    expect(refusal(await rig.call(stranger, 'pull', null, { bytes }))).toEqual([401, 'unauthenticated']);
  });

  it.each([
    ['/limit', { limit: 1001 }, 'limit_exceeded'],
    ['/waitMs', { waitMs: 30_001 }, 'limit_exceeded'],
    [
      '/scopes',
      { scopes: Array.from({ length: 101 }, (_each, at) => ({ scope: `course:c${at}` })) },
      'limit_exceeded',
    ],
    ['/limit', { limit: 'many' }, 'schema_invalid'],
    ['/scopes/0/scope', { scopes: [{ scope: 'nocolon', cursor: null }] }, 'schema_invalid'],
    ['/scopes/1/scope', { scopes: [{ scope: 'a:b' }, { scope: 'a:b' }] }, 'schema_invalid'],
  ])('says with the path %s what is wrong', async (path, body, code) => {
    const answer = await rig.call(device, 'pull', body);
    expect(refusal(answer)).toEqual([400, code]);
    expect((answer.body['errors'] as { path: string }[]).map((error) => error.path)).toContain(path);
  });

  it('may have fields of a later version', async () => {
    expect((await rig.call(device, 'pull', { ...small, fromTheFuture: { a: 1 } })).status).toBe(200);
  });
});

it('answers unknown paths and methods as problems', async () => {
  expect(refusal(await rig.call(device, 'nowhere', {}))).toEqual([404, 'not_found']);
  expect((await rig.call(device, 'pull', null, { method: 'GET' })).body['code']).toMatch(
    /not_found|method_not_allowed/,
  );
});

it('compresses answers that are worth it, as asked for', async () => {
  const one = await rig.device('t1', `u-${randomUUID()}`);
  const scope = `user:${one.userId}`;
  rig.projector.put('t1', scope, 'n1', { text: 'words '.repeat(1000) });
  await rig.ingest();
  const body = { scopes: [{ scope, cursor: null }] };
  for (const [accepted, expected] of [
    ['br', 'br'],
    ['gzip', 'gzip'],
    ['gzip;q=0.5, br;q=0.9', 'br'],
    ['identity', null],
  ] as const) {
    const answer = await rig.call(one, 'pull', body, { headers: { 'accept-encoding': accepted } });
    expect(answer.headers.get('content-encoding')).toBe(expected);
    expect(JSON.stringify(answer.body)).toContain('words words');
  }
});
