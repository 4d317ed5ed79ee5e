import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseSignatureInput } from '@sync/protocol';
import { taggedText } from '@sync/protocol/device';
import fc from 'fast-check';
import { toBase64 } from './base64.ts';
import { jsKey } from './js-key.ts';
import { signRequest } from './sign-request.ts';
import type { DeviceIdentity, DeviceKey } from './transport.ts';
import { importDeviceKey, webCryptoKey } from './webcrypto-key.ts';

type Tagged = Readonly<Record<string, unknown>> & { readonly mutationId: string; readonly tag: string };
interface Vectors {
  readonly devices: Readonly<Record<string, DeviceIdentity & { readonly hmacKey: string }>>;
  readonly valid: readonly { readonly name: string; readonly madeBy: string; readonly mutation: Tagged }[];
  readonly invalid: readonly { readonly name: string; readonly mutation: Tagged }[];
}

const golden = new URL('../../../protocol/golden/mutation-tags.json', import.meta.url);
const { devices, valid, invalid } = JSON.parse(readFileSync(golden, 'utf8')) as Vectors;
const BYTES = Uint8Array.from({ length: 32 }, (_, at) => at);
const IDENTITY: DeviceIdentity = { tenantId: 'acme', userId: 'u1', deviceId: 'dev-1' };

type MakeKey = (bytes: Uint8Array, identity: DeviceIdentity) => Promise<DeviceKey>;
const KEYS: readonly (readonly [name: string, make: MakeKey])[] = [
  ['webCryptoKey', async (bytes, identity) => webCryptoKey(await importDeviceKey(bytes), identity)],
  ['jsKey', async (bytes, identity) => jsKey(bytes, identity)],
];

describe.each(KEYS)('%s', (_name, make) => {
  const keyOf = (device = 'phone'): Promise<DeviceKey> => {
    const { hmacKey, ...identity } = devices[device] ?? { ...IDENTITY, hmacKey: '' };
    return make(Buffer.from(hmacKey, 'base64'), identity);
  };

  it.each(valid)('tags as the published vector does: $name', async ({ madeBy, mutation }) => {
    const text = taggedText({ ...mutation, mutationId: mutation.mutationId.toLowerCase() });
    expect(await (await keyOf(madeBy)).tag(text)).toBe(mutation.tag);
  });

  it.each(invalid)('makes no tag that is refused: $name', async ({ mutation }) => {
    const text = taggedText({ ...mutation, mutationId: mutation.mutationId.toLowerCase() });
    expect(await (await keyOf()).tag(text)).not.toBe(mutation.tag);
  });

  it('signs as the vector in docs/protocol.md does', async () => {
    const text = '{"scopes":[{"scope":"user:u1","cursor":null}]}';
    const body = new TextEncoder().encode(text);
    const sent = { method: 'POST', path: '/sync/v1/pull', token: 'abc', deviceId: 'dev-1', body };
    const fields = await signRequest({ ...sent, createdSeconds: 1_700_000_000 }, await make(BYTES, IDENTITY));
    expect(fields).toMatchObject({
      authorization: 'Bearer abc',
      'content-digest': 'sha-256=:QLq5FxC6EXj3Vqrdykry7TWbq2vL0MP1nyg6gNE62pQ=:',
      signature: 'sync=:7NY4n+f8zoqr4KqXsp8T9GkoAx8xIew4tlUx72A9o7g=:',
    });
    expect(parseSignatureInput(fields['signature-input'], true)).toMatchObject({ keyId: 'dev-1' });
  });

  it('is HMAC-SHA-256 of any text in UTF-8', async () => {
    const key = await make(BYTES, IDENTITY);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (text) => {
        expect(await key.sign(text)).toBe(createHmac('sha256', BYTES).update(text).digest('base64'));
      }),
    );
  });

  it('stays the same when the bytes that it was made of are wiped', async () => {
    const bytes = new Uint8Array(BYTES);
    const key = await make(bytes, IDENTITY);
    const before = await key.sign('x');
    bytes.fill(0);
    expect(await key.sign('x')).toBe(before);
  });

  it.each([0, 16, 31, 33, 44])('refuses %i bytes', async (length) => {
    await expect(make(new Uint8Array(length), IDENTITY)).rejects.toThrow(/32 bytes/);
  });

  it.each([
    { ...IDENTITY, deviceId: 'a"b' },
    { ...IDENTITY, userId: 'u\0x' },
    { ...IDENTITY, tenantId: '' },
  ])('refuses what is no identity: %j', async (identity) => {
    await expect(make(BYTES, identity)).rejects.toThrow(TypeError);
  });
});

describe('importDeviceKey', () => {
  it('gives keys that can be stored and cannot be read', async () => {
    const stored = await importDeviceKey(BYTES);
    const read = structuredClone(stored);
    for (const key of [read.signing, read.deriving]) {
      expect(key.extractable).toBe(false);
      await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow(/extractable|not supported/);
    }
    const [one, other] = await Promise.all([stored, read].map((keys) => webCryptoKey(keys, IDENTITY)));
    expect(await one?.tag('x')).toBe(await other?.tag('x'));
  });
});

describe('signRequest', () => {
  const request = { method: 'GET', token: 't', deviceId: 'd', body: null, createdSeconds: 5 };

  it('has no digest where there is no body, and signs the query as it is sent', async () => {
    const key = jsKey(BYTES, IDENTITY);
    const fields = await signRequest({ ...request, path: '/sync/v1/conflicts?a=%2F&b?=1' }, key);
    const params = '("@method" "@path" "@query" "authorization");created=5;keyid="d";alg="hmac-sha256"';
    const parts = '"@method": GET\n"@path": /sync/v1/conflicts\n"@query": ?a=%2F&b?=1\n';
    const base = `${parts}"authorization": Bearer t`;
    expect(fields).toEqual({
      authorization: 'Bearer t',
      'signature-input': `sync=${params}`,
      signature: `sync=:${await key.sign(`${base}\n"@signature-params": ${params}`)}:`,
    });
  });
});

describe('toBase64', () => {
  it('is RFC 4648', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      }),
    );
  });
});
