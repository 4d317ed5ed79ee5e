import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { BODY_LIMITS, LIMITS, PLATFORM_TENANT } from '@sync/protocol';
import { mutationOf } from '../push/testing/push-rig.ts';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';

let rig: GatewayRig;
let device: TestDevice;

beforeAll(async () => {
  rig = await GatewayRig.start();
  device = await rig.device();
});
afterAll(() => rig.stop());

const PACKERS = { br: brotliCompressSync, gzip: gzipSync };
type Coding = keyof typeof PACKERS;

/** The same bomb goes to every path, and packing it takes brotli three seconds. */
const packed = new Map<string, Buffer>();

function pack(body: string, coding: Coding): Buffer {
  const known = packed.get(coding + body);
  const bytes = known ?? PACKERS[coding](body);
  packed.set(coding + body, bytes);
  return bytes;
}

/** Sends a body, to an `/admin/` path as an administrator does, else as the device. */
async function send(path: string, body: string, coding?: Coding): Promise<[number, unknown]> {
  const bytes = coding ? pack(body, coding) : Buffer.from(body);
  const headers: Record<string, string> = coding ? { 'content-encoding': coding } : {};
  if (!path.startsWith('/admin')) {
    const answer = await rig.call(device, path, null, { bytes, headers });
    return [answer.status, answer.body['code']];
  }
  const roles = ['sync-operator', 'sync-admin'];
  const token = await rig.identity.token(PLATFORM_TENANT, 'operator', { roles });
  const answer = await fetch(new URL(path, rig.url), {
    method: path.includes('replay') ? 'POST' : 'PUT',
    headers: { ...headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: new Uint8Array(bytes),
  });
  return [answer.status, ((await answer.json()) as { code?: string }).code];
}

/** An object whose ignored field makes up the rest, with so many commas and opening brackets. */
const withValues = (count: number): string => `{"ignored":[${'0,'.repeat(count - 2)}0]}`;
const withBytes = (count: number): string => `{"ignored":"${'x'.repeat(count - 14)}"}`;

const SMALL = [
  ['pull', BODY_LIMITS.pull],
  ['ack', BODY_LIMITS.other],
  ['tickets', BODY_LIMITS.other],
  ['conflicts/x/suggestions', BODY_LIMITS.other],
  ['/admin/v1/suggestions', BODY_LIMITS.other],
  ['/admin/v1/dead-letters/replay', BODY_LIMITS.other],
] as const;
const LARGE = [
  ['push', BODY_LIMITS.entities],
  ['resolve-conflict', BODY_LIMITS.entities],
  ['/admin/v1/registrations/shop', BODY_LIMITS.entities],
] as const;

describe('a body', () => {
  it.each(['br', 'gzip'] as const)(
    'of a few bytes of %s does not become 8 MiB of empty objects',
    async (coding) => {
      const bomb = `{"ignored":[${'{"a":{}},'.repeat(900_000)}0]}`;
      for (const [path] of [...SMALL, ...LARGE]) {
        expect([path, await send(path, bomb, coding)]).toEqual([path, [413, 'payload_too_large']]);
      }
    },
  );

  it.each([...SMALL, ...LARGE])('of %s has a bounded number of values', async (path, { jsonValues }) => {
    expect(await send(path, withValues(jsonValues + 1))).toEqual([400, 'limit_exceeded']);
    expect((await send(path, withValues(jsonValues)))[1]).not.toBe('limit_exceeded');
  });

  it.each(SMALL)('of %s has a bounded size, as sent and inflated', async (path, limits) => {
    expect(await send(path, withBytes(limits.sentBytes + 1))).toEqual([413, 'payload_too_large']);
    expect((await send(path, withBytes(limits.sentBytes)))[0]).not.toBe(413);
    // Half of it is random, so that its ratio is harmless.
    const noise = Array.from({ length: Math.ceil(limits.inflatedBytes / 72) }, () => randomUUID()).join('');
    const long = `{"ignored":"${noise}${'x'.repeat(limits.inflatedBytes + 1 - noise.length - 14)}"}`;
    expect(await send(path, long, 'br')).toEqual([413, 'payload_too_large']);
  });

  it('inflates to 512 times its size at the most, but for the first MiB', async () => {
    expect((await send('push', withBytes(LIMITS.bodyCompressedBytes), 'br'))[0]).toBe(400);
    expect(await send('push', withBytes(LIMITS.bodyCompressedBytes + 1), 'br')).toEqual([
      413,
      'payload_too_large',
    ]);
  });
});

describe('the largest of an honest device fits', () => {
  it('in a push: a note of 10 kB that was saved 500 times, compressed', async () => {
    let text = Array.from({ length: 270 }, () => randomUUID()).join(' ');
    const mutations = Array.from({ length: LIMITS.mutationsPerPush }, () => {
      text += ' and';
      return mutationOf(device, { entityId: 'note', data: { text } });
    });
    const body = JSON.stringify({ sentAt: new Date().toISOString(), mutations });
    expect(body.length).toBeGreaterThan(5_000_000);
    for (const coding of ['br', 'gzip'] as const) expect((await send('push', body, coding))[0]).toBe(200);
  });

  it('in a pull and an ack: every scope with the longest cursor, every document, every outcome', async () => {
    const cursor = 'x'.repeat(2_048);
    const scopeOf = (at: number): string => `course:${String(at).padStart(128, '0')}`;
    const scopes = Array.from({ length: LIMITS.scopesPerPull }, (_each, at) => ({
      scope: scopeOf(at),
      cursor,
      documents: [
        { entityType: 'a', entityId: `${'i'.repeat(124)}${at}`, epoch: 1, stateVector: 'A'.repeat(6_000) },
      ],
    }));
    const hash = 'a'.repeat(64);
    const cursors = scopes.map(({ scope }) => ({ scope, cursor, digest: { count: 2 ** 50, hash } }));
    const outcomes = Array.from({ length: LIMITS.outcomesPerAck }, () => randomUUID());
    const purged = scopes.map(({ scope }) => scope);
    expect(await send('pull', JSON.stringify({ scopes }))).toEqual([400, 'schema_invalid']);
    const bare = scopes.map(({ scope }) => ({ scope, cursor }));
    expect(await send('pull', JSON.stringify({ scopes: bare }))).toEqual([400, 'cursor_invalid']);
    expect(await send('ack', JSON.stringify({ cursors, outcomes, purged }))).toEqual([400, 'cursor_invalid']);
  });
});
