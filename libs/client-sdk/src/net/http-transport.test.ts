import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseSignatureInput } from '@sync/protocol';
import { httpbis } from 'http-message-signatures';
import { systemClock } from '../clock/clock.ts';
import { createHttpTransport, type HttpTransport, type HttpTransportOptions } from './http-transport.ts';
import { jsKey } from './js-key.ts';
import { answer, type Came, good, problemBody, refuse, RudeServer } from './testing/rude-server.ts';
import type { Answer, Call, Failure, FailureKind } from './transport.ts';

const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
const IDENTITY = { tenantId: 'acme', userId: 'u1', deviceId: 'dev-1' };
const PULL: Call = { method: 'POST', path: '/sync/v1/pull', body: { limit: 1 }, timeoutMs: 20_000 };

let rude: RudeServer;
beforeAll(async () => {
  rude = await RudeServer.start();
});
afterAll(() => rude.stop());
beforeEach(() => {
  rude.came.length = 0;
  rude.behave = (_came, response) => answer(response, 200, good());
});

function transportTo(options: Partial<HttpTransportOptions> = {}): HttpTransport {
  const key = jsKey(KEY, IDENTITY);
  return createHttpTransport({
    ...{ gatewayUrl: rude.url, identity: IDENTITY, key, token: async () => 'token-1' },
    ...options,
  });
}

function failed(given: Answer<unknown>): Failure {
  if (given.ok) throw new Error('it did not fail');
  return given;
}

/** Judged by another implementation of RFC 9421 than ours. How old it is, other tests look at. */
async function isSigned({ method, path, headers, body }: Came): Promise<boolean> {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  if (headers['content-digest'] !== (body.length > 0 ? digest : undefined)) return false;
  const covered = ['@method', '@path', '@query', 'authorization'];
  const verified = await httpbis.verifyMessage(
    {
      keyLookup: async ({ keyid }) =>
        keyid === IDENTITY.deviceId ? { algs: ['hmac-sha256'], verify } : null,
      requiredFields: body.length > 0 ? [...covered, 'content-digest'] : covered,
      requiredParams: ['created', 'keyid', 'alg'],
      notAfter: new Date(8.64e15),
    },
    { method, url: new URL(path, rude.url), headers: headers as Record<string, string> },
  );
  return verified === true;
}

const areSigned = (came: readonly Came[]) => Promise.all(came.map(isSigned));

const verify = async (base: Buffer, signature: Buffer) =>
  createHmac('sha256', KEY).update(base).digest().equals(signature);

describe('a request', () => {
  it.each<Call>([
    PULL,
    { method: 'POST', path: '/sync/v1/tickets', timeoutMs: 20_000 },
    { method: 'GET', path: '/sync/v1/conflicts?status=open&cursor=a%2Fb', timeoutMs: 20_000 },
    { ...PULL, body: { text: 'ü€\u{1f600}'.repeat(2_000) } },
  ])('is signed as it is sent: $method $path', async (call) => {
    expect(await transportTo().send(call)).toEqual({ ok: true, body: expect.objectContaining({}) });
    expect(await areSigned(rude.came)).toEqual([true]);
  });

  it('is signed without what a proxy takes away from its path', async () => {
    await transportTo({ gatewayUrl: `${rude.url}/proxied/` }).send(PULL);
    expect(rude.came.map(({ path }) => path)).toEqual(['/proxied/sync/v1/pull']);
    expect(await areSigned(rude.came.map((came) => ({ ...came, path: '/sync/v1/pull' })))).toEqual([true]);
  });

  it('is compressed from a KiB on, and signed as it is sent', async () => {
    const long = { text: 'word '.repeat(1_000) };
    await transportTo().send({ ...PULL, body: { text: 'short' } });
    await transportTo().send({ ...PULL, body: long });
    expect(rude.came.map(({ headers }) => headers['content-encoding'])).toEqual([undefined, 'gzip']);
    expect(gunzipSync(rude.came[1]?.body ?? '').toString()).toBe(JSON.stringify(long));
    expect(await areSigned(rude.came)).toEqual([true, true]);
  });

  it('goes as it is where the platform cannot compress, and hashes where it has no WebCrypto', async () => {
    const kept = { CompressionStream: globalThis.CompressionStream, crypto: globalThis.crypto };
    const without = (value: object): void => {
      for (const [name, part] of Object.entries(value))
        Object.defineProperty(globalThis, name, { value: part, configurable: true, writable: true });
    };
    without({ CompressionStream: undefined, crypto: undefined });
    try {
      await transportTo().send({ ...PULL, body: { text: 'word '.repeat(1_000) } });
    } finally {
      without(kept);
    }
    expect(rude.came.map(({ headers }) => headers['content-encoding'])).toEqual([undefined]);
    expect(await areSigned(rude.came)).toEqual([true]);
  });

  it.each([
    ['more than 8 MiB', 'a'.repeat(8_388_609)],
    ['more than 512 times as long as it is sent', 'a'.repeat(4_000_000)],
    ['more than 1 MiB as it is sent', Buffer.from(randomText(2_000_000)).toString('base64')],
  ])('is not sent when it has %s', async (_what, text) => {
    expect(failed(await transportTo().send({ ...PULL, body: { text } }))).toMatchObject({
      kind: 'too_large',
      status: null,
    });
    expect(rude.came).toEqual([]);
  });

  it.each<Partial<Call>>([
    { path: 'sync/v1/pull' },
    { path: '/sync/v1/a b' },
    { path: '/sync/v1/ü' },
    { path: '/sync/v1/pull#x' },
    { body: { count: 1n } },
  ])('that cannot be made is refused, not thrown: %o', async (part) => {
    expect(failed(await transportTo().send({ ...PULL, ...part })).kind).toBe('refused');
    expect(rude.came).toEqual([]);
  });

  it('is refused, not thrown, when the key does not sign', async () => {
    const key = { ...jsKey(KEY, IDENTITY), sign: () => Promise.reject(new Error('locked')) };
    expect(failed(await transportTo({ key }).send(PULL))).toMatchObject({ kind: 'refused' });
  });

  it.each(['ftp://a.example', 'a.example', 'https://', 'https://u:p@a.example', 'https://a.example/?x=1'])(
    'is never sent to %s',
    (gatewayUrl) => {
      expect(() => transportTo({ gatewayUrl })).toThrow(TypeError);
    },
  );
});

/** The same every time, and nothing that can be compressed. */
function randomText(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, at) =>
    createHash('sha256').update(String(at)).digest(),
  );
  return Buffer.concat(parts);
}

const HTML = '<!doctype html><title>Welcome to the hotel</title>';
const asHtml = { 'content-type': 'text/html' };
type Case = readonly [
  name: string,
  kind: FailureKind,
  status: number,
  body: object | string | Buffer | null,
  headers?: Record<string, string>,
];
const later = new Date(Date.now() + 86_400_000).toISOString();

const CASES: readonly Case[] = [
  ['a page of a portal', 'garbage', 200, HTML, asHtml],
  ['a page that says that it is JSON', 'garbage', 200, HTML],
  ['JSON that was cut', 'garbage', 200, JSON.stringify(good()).slice(0, 20)],
  ['JSON of another type', 'garbage', 200, good(), { 'content-type': 'text/plain' }],
  ['JSON without a time', 'garbage', 200, { scopes: [] }],
  ['a time that is none', 'garbage', 200, { serverTime: 'now' }],
  ['a time of no day', 'garbage', 200, { serverTime: '2026-13-41T00:00:00Z' }],
  ['an array', 'garbage', 200, [good()]],
  ['null', 'garbage', 200, 'null'],
  ['bytes that are not UTF-8', 'garbage', 200, Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ['more than is taken', 'garbage', 200, { ...good(), text: 'a'.repeat(200_000) }],
  ['nothing', 'garbage', 204, null],
  ['a part', 'garbage', 206, good()],
  ['a redirect', 'garbage', 302, good(), { location: '/elsewhere' }],
  ['a problem with success', 'garbage', 200, problemBody('device_revoked', 200), problemType()],
  ['a problem of somebody else', 'garbage', 403, { ...problemBody('device_revoked'), type: 'about:blank' }],
  ['a problem of another status', 'garbage', 403, problemBody('device_revoked', 410)],
  ['a wall that forbids', 'garbage', 403, HTML, asHtml],
  ['a portal that wants a person', 'garbage', 511, HTML, asHtml],
  ['a proxy without a server', 'busy', 502, HTML, asHtml],
  ['a proxy that has enough', 'busy', 429, HTML, asHtml],
  ['a proxy with a limit of its own', 'too_large', 413, HTML, asHtml],
  ['payload_too_large', 'too_large', 413, problemBody('payload_too_large')],
  ['limit_exceeded', 'too_large', 400, problemBody('limit_exceeded')],
  ['cursor_invalid', 'cursor_invalid', 400, problemBody('cursor_invalid')],
  ['rate_limited', 'busy', 429, problemBody('rate_limited')],
  ['internal', 'busy', 500, problemBody('internal')],
  ['unavailable', 'busy', 503, problemBody('unavailable')],
  ['request_timeout', 'busy', 408, problemBody('request_timeout')],
  ['device_revoked', 'revoked', 403, problemBody('device_revoked')],
  [
    'device_revoked with a later time',
    'revoked',
    403,
    { ...problemBody('device_revoked'), serverTime: later },
  ],
  ['device_revoked under another status', 'refused', 410, problemBody('device_revoked', 410)],
  ['device_not_bound', 'not_bound', 403, problemBody('device_not_bound')],
  ['signature_invalid', 'refused', 401, problemBody('signature_invalid')],
  ['not_found', 'refused', 404, problemBody('not_found')],
  ['a code of later, for good', 'refused', 409, problemBody('later', 409, false)],
  ['a code of later, for now', 'busy', 409, problemBody('later', 409, true)],
];

function problemType(): Record<string, string> {
  return { 'content-type': 'application/problem+json' };
}

describe('an answer', () => {
  it.each(CASES.map((given) => ({ given })))('$given.0 is $given.1', async ({ given }) => {
    const [, kind, status, body, headers] = given;
    rude.behave = (_came, response) => answer(response, status, body, headers);
    expect(failed(await transportTo({ maxAnswerBytes: 100_000 }).send(PULL))).toMatchObject({ kind, status });
    expect(rude.came.map(({ path }) => path)).toEqual([PULL.path]);
  });

  it('shows the problem, and when to come back', async () => {
    rude.behave = (_came, response) => refuse(response, 'unavailable', { 'retry-after': '7' });
    const { problem, retryAfterMs, detail } = failed(await transportTo().send(PULL));
    expect(problem?.code).toBe('unavailable');
    expect(retryAfterMs).toBe(7_000);
    expect(detail).toBe('A problem: of this time');
  });

  it('may name a date to come back at, by the clock of the server', async () => {
    const ahead = 3 * 365 * 86_400_000;
    rude.behave = (_came, response) => {
      const serverTime = new Date(Date.now() + ahead).toISOString();
      const at = { 'retry-after': new Date(Date.now() + ahead + 60_000).toUTCString() };
      answer(response, 429, { ...problemBody('rate_limited'), serverTime }, at);
    };
    const { retryAfterMs } = failed(await transportTo().send(PULL));
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('is taken with 202, too', async () => {
    rude.behave = (_came, response) => answer(response, 202, { ...good(), a: 1 });
    expect(await transportTo().send(PULL)).toMatchObject({ ok: true, body: { a: 1 } });
  });
});

describe('a network', () => {
  const limit: Call = { ...PULL, timeoutMs: 150 };

  it('without a server is offline', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    const gatewayUrl = `http://127.0.0.1:${port}`;
    expect(failed(await transportTo({ gatewayUrl }).send(PULL))).toMatchObject({
      kind: 'offline',
      status: null,
    });
  });

  it.each<[string, RudeServer['behave'], Call]>([
    ['breaks before the answer', (_came, response) => response.socket?.destroy(), PULL],
    [
      'breaks in the middle of the answer',
      (_came, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write(JSON.stringify(good()), () => response.socket?.destroy());
      },
      PULL,
    ],
    ['is silent', () => undefined, limit],
    [
      'is silent after the fields of the answer',
      (_came, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      },
      limit,
    ],
    [
      'brings the answer byte by byte',
      (_came, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 5);
        response.on('close', () => clearInterval(drip));
      },
      limit,
    ],
  ])('that %s is offline', async (_name, behave, call) => {
    rude.behave = behave;
    expect(failed(await transportTo().send(call)).kind).toBe('offline');
  });

  it('that does not end when it is told to is not waited for', async () => {
    const deaf = (() => new Promise(() => undefined)) as unknown as typeof fetch;
    expect(failed(await transportTo({ fetch: deaf }).send(limit)).kind).toBe('offline');
  });

  it('is left when the caller gives up', async () => {
    const controller = new AbortController();
    rude.behave = () => controller.abort();
    const call = { ...PULL, signal: controller.signal };
    expect(failed(await transportTo().send(call)).kind).toBe('aborted');
    expect(failed(await transportTo().send(call)).kind).toBe('aborted');
    expect(rude.came).toHaveLength(1);
  });
});

describe('the clock of the device', () => {
  const years = 10 * 365 * 86_400_000;
  const behind = { ...systemClock, now: () => Date.now() - years };
  const createdOf = ({ headers }: Came): number =>
    1_000 * (parseSignatureInput(String(headers['signature-input']), true)?.createdSeconds ?? 0);

  it('may be wrong by years, which costs one request', async () => {
    rude.behave = (came, response) => {
      if (Math.abs(createdOf(came) - Date.now()) > 300_000) refuse(response, 'clock_skew');
      else answer(response, 200, good());
    };
    const transport = transportTo({ clock: behind });
    expect(transport.offsetMs).toBeNull();
    expect((await transport.send(PULL)).ok).toBe(true);
    expect((await transport.send(PULL)).ok).toBe(true);
    expect(rude.came).toHaveLength(3);
    expect(await areSigned(rude.came)).toEqual([true, true, true]);
    expect(Math.abs((transport.offsetMs ?? 0) - years)).toBeLessThan(60_000);
  });

  it('is measured by every answer, not only by those that complain', async () => {
    const transport = transportTo({ clock: behind });
    rude.behave = (_came, response) => refuse(response, 'rate_limited');
    await transport.send(PULL);
    expect(Math.abs((transport.offsetMs ?? 0) - years)).toBeLessThan(60_000);
  });

  it('is corrected once in a request', async () => {
    rude.behave = (_came, response) => refuse(response, 'clock_skew');
    expect(failed(await transportTo().send(PULL)).kind).toBe('wrong_clock');
    expect(rude.came).toHaveLength(2);
  });

  it.each([
    ['nobody says', undefined, 1, 'wrong_clock'],
    ['Date says', new Date().toUTCString(), 2, undefined],
  ])('is corrected by what %s', async (_name, date, requests, kind) => {
    rude.behave = (came, response) => {
      response.sendDate = false;
      if (Math.abs(createdOf(came) - Date.now()) < 300_000) {
        answer(response, 200, good());
        return;
      }
      const { serverTime: _, ...problem } = problemBody('clock_skew');
      answer(response, 401, problem, date ? { date } : {});
    };
    const given = await transportTo({ clock: behind }).send(PULL);
    expect(given.ok ? undefined : given.kind).toBe(kind);
    expect(rude.came).toHaveLength(requests);
  });

  it('is not measured by a portal', async () => {
    rude.behave = (_came, response) =>
      answer(response, 200, HTML, { ...asHtml, date: new Date(0).toUTCString() });
    const transport = transportTo();
    await transport.send(PULL);
    expect(transport.offsetMs).toBeNull();
  });
});
