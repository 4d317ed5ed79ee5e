import { createHash, createHmac, createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  baseOver,
  parseContentDigest,
  parseSignature,
  parseSignatureInput,
  signatureBase,
  signatureParams,
} from './http-signature.ts';

const KEY = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const BODY = '{"scopes":[{"scope":"user:u1","cursor":null}]}';
const DIGEST = createHash('sha256').update(BODY).digest('base64');

const hmac = (base: string): string => createHmac('sha256', KEY).update(base).digest('base64');

describe('signatureBase', () => {
  it('is the text of RFC 9421, section 2.5, for a request with a body', () => {
    const params = signatureParams('dev-1', 1_700_000_000, true);
    const request = {
      method: 'POST',
      path: '/sync/v1/pull',
      query: '?',
      contentDigest: `sha-256=:${DIGEST}:`,
      authorization: 'Bearer abc',
    };
    const components = parseSignatureInput(`sync=${params}`, true)?.components ?? [];
    expect(signatureBase(request, components, params)).toBe(
      [
        '"@method": POST',
        '"@path": /sync/v1/pull',
        '"@query": ?',
        `"content-digest": sha-256=:${DIGEST}:`,
        '"authorization": Bearer abc',
        '"@signature-params": ("@method" "@path" "@query" "content-digest" "authorization");created=1700000000;keyid="dev-1";alg="hmac-sha256"',
      ].join('\n'),
    );
  });

  it('leaves out the digest of a request without a body', () => {
    const params = signatureParams('dev-1', 1_700_000_000, false);
    const components = parseSignatureInput(`sync=${params}`, false)?.components ?? [];
    const request = {
      method: 'GET',
      path: '/sync/v1/conflicts',
      query: '?status=open&cursor=%2F',
      contentDigest: null,
      authorization: 'Bearer abc',
    };
    expect(signatureBase(request, components, params).split('\n')).toEqual([
      '"@method": GET',
      '"@path": /sync/v1/conflicts',
      '"@query": ?status=open&cursor=%2F',
      '"authorization": Bearer abc',
      '"@signature-params": ("@method" "@path" "@query" "authorization");created=1700000000;keyid="dev-1";alg="hmac-sha256"',
    ]);
  });

  it('follows the order in which the device listed the components', () => {
    const params = '("authorization" "@query" "@path" "@method");created=1;keyid="d";alg="hmac-sha256"';
    const components = parseSignatureInput(`sync=${params}`, false)?.components ?? [];
    const request = { method: 'GET', path: '/p', query: '?q', contentDigest: null, authorization: 'a' };
    expect(signatureBase(request, components, params)).toBe(
      `"authorization": a\n"@query": ?q\n"@path": /p\n"@method": GET\n"@signature-params": ${params}`,
    );
  });

  it('gives the published test vector', () => {
    // docs/protocol.md prints this vector for authors of other clients; the base64 was computed with `openssl
    // dgst -sha256 -mac HMAC`.
    const params = signatureParams('dev-1', 1_700_000_000, true);
    const request = {
      method: 'POST',
      path: '/sync/v1/pull',
      query: '?',
      contentDigest: `sha-256=:${DIGEST}:`,
      authorization: 'Bearer abc',
    };
    const base = signatureBase(
      request,
      ['@method', '@path', '@query', 'content-digest', 'authorization'],
      params,
    );
    expect(DIGEST).toBe('QLq5FxC6EXj3Vqrdykry7TWbq2vL0MP1nyg6gNE62pQ=');
    expect(hmac(base)).toBe('7NY4n+f8zoqr4KqXsp8T9GkoAx8xIew4tlUx72A9o7g=');
  });

  it('changes with every part that is covered', () => {
    const params = signatureParams('d', 1, true);
    const components = parseSignatureInput(`sync=${params}`, true)?.components ?? [];
    const request = { method: 'POST', path: '/p', query: '?', contentDigest: 'x', authorization: 'a' };
    const bases = [
      request,
      { ...request, method: 'PUT' },
      { ...request, path: '/q' },
      { ...request, query: '?q' },
      { ...request, contentDigest: 'y' },
      { ...request, authorization: 'b' },
    ].map((changed) => signatureBase(changed, components, params));
    bases.push(signatureBase(request, components, signatureParams('d', 2, true)));
    bases.push(signatureBase(request, components, signatureParams('e', 1, true)));
    expect(new Set(bases).size).toBe(8);
  });
});

describe('baseOver', () => {
  // RFC 9421, appendix B.2: the request `test-request`.
  const date = ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'] as const;
  const authority = ['@authority', 'example.com'] as const;
  const type = ['content-type', 'application/json'] as const;

  it('gives the signature of the RFC with hmac-sha256 (B.2.5)', () => {
    const secret = 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==';
    const params = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
    const base = baseOver([date, authority, type], params);
    const signature = createHmac('sha256', Buffer.from(secret, 'base64')).update(base).digest('base64');
    expect(signature).toBe('pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=');
  });

  it('is what the RFC has signed over method and path (B.2.6)', () => {
    const der = Buffer.from('MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=', 'base64');
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    const list = '("date" "@method" "@path" "@authority" "content-type" "content-length")';
    const params = `${list};created=1618884473;keyid="test-key-ed25519"`;
    const target = [['@method', 'POST'] as const, ['@path', '/foo'] as const];
    const base = baseOver([date, ...target, authority, type, ['content-length', '18']], params);
    const signature =
      'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==';
    expect(verify(null, Buffer.from(base), key, Buffer.from(signature, 'base64'))).toBe(true);
  });
});

describe('parseSignatureInput', () => {
  const components = '("@method" "@path" "@query" "authorization")';
  const parameters = ';created=1700000000;keyid="dev-1";alg="hmac-sha256"';

  it('reads back what signatureParams wrote', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9._~-]{1,128}$/),
        fc.integer({ min: 0, max: 9_999_999_999 }),
        fc.boolean(),
        (keyId, createdSeconds, hasBody) => {
          const params = signatureParams(keyId, createdSeconds, hasBody);
          expect(parseSignatureInput(`sync=${params}`, hasBody)).toMatchObject({
            keyId,
            createdSeconds,
            params,
          });
          expect(parseSignatureInput(`sync=${params}`, !hasBody)).toBeNull();
        },
      ),
    );
  });

  it('takes any order of components and parameters, and keeps the text that was signed', () => {
    const params = '("@query" "authorization" "@path" "@method");alg="hmac-sha256";keyid="d";created=5';
    expect(parseSignatureInput(`sync=${params}`, false)).toEqual({
      keyId: 'd',
      createdSeconds: 5,
      params,
      components: ['@query', 'authorization', '@path', '@method'],
    });
  });

  it('takes nonce and tag, which mean nothing here', () => {
    const params = `${components}${parameters};nonce="a+/=b";tag="app"`;
    expect(parseSignatureInput(`sync=${params}`, false)).toMatchObject({ keyId: 'dev-1', params });
  });

  it('finds its own signature among others', () => {
    const proxy = 'proxy=("@authority" "signature";key="sync");created=1;keyid="p",';
    expect(parseSignatureInput(`${proxy} sync=${components}${parameters}`, false)).toMatchObject({
      keyId: 'dev-1',
    });
  });

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['another label', `sig1=${components}${parameters}`],
    ['the label twice', `sync=${components}${parameters}, sync=${components}${parameters}`],
    ['no list', `sync=1${parameters}`],
    ['an empty list', `sync=()${parameters}`],
    ['an unquoted component', `sync=(@method "@path" "@query" "authorization")${parameters}`],
    ['a component with parameters', `sync=("@method" "@path" "@query";req "authorization")${parameters}`],
    ['a component missing', `sync=("@method" "@path" "@query")${parameters}`],
    ['a component twice', `sync=("@method" "@path" "@path" "authorization")${parameters}`],
    ['a component more', `sync=("@method" "@path" "@query" "authorization" "@authority")${parameters}`],
    ['two spaces between components', `sync=("@method"  "@path" "@query" "authorization")${parameters}`],
    ['a trailing space in the list', `sync=("@method" "@path" "@query" "authorization" )${parameters}`],
    ['no parameters', `sync=${components}`],
    ['no created', `sync=${components};keyid="d";alg="hmac-sha256"`],
    ['no keyid', `sync=${components};created=1;alg="hmac-sha256"`],
    ['no alg', `sync=${components};created=1;keyid="d"`],
    ['another alg', `sync=${components};created=1;keyid="d";alg="hmac-sha512"`],
    ['created as a string', `sync=${components};created="1";keyid="d";alg="hmac-sha256"`],
    ['created with a leading zero', `sync=${components};created=01;keyid="d";alg="hmac-sha256"`],
    ['a negative created', `sync=${components};created=-1;keyid="d";alg="hmac-sha256"`],
    ['keyid as a number', `sync=${components};created=1;keyid=123;alg="hmac-sha256"`],
    ['an empty keyid', `sync=${components};created=1;keyid="";alg="hmac-sha256"`],
    ['a keyid that is no deviceId', `sync=${components};created=1;keyid="a b";alg="hmac-sha256"`],
    ['a keyid that is too long', `sync=${components};created=1;keyid="${'d'.repeat(129)}";alg="hmac-sha256"`],
    ['a parameter twice', `sync=${components}${parameters};created=2`],
    ['expires, which nobody enforces', `sync=${components}${parameters};expires=1700000300`],
    ['text after it', `sync=${components}${parameters} x`],
  ])('refuses what it cannot hold to: %s', (_fault, header) => {
    expect(parseSignatureInput(header, false)).toBeNull();
  });

  it('never throws on hostile text', () => {
    const hostile = fc.string({
      unit: fc.constantFrom(...Array.from('sync=("@method");created1keyid\\, ')),
      maxLength: 300,
    });
    fc.assert(
      fc.property(hostile, (text) => {
        expect(parseSignatureInput(`sync=(${text}`, true)).toBeNull();
      }),
    );
  });
});

describe('parseSignature', () => {
  const value = hmac('x');

  it('reads the 32 bytes of the label sync', () => {
    expect(parseSignature(`sync=:${value}:`)).toBe(value);
    expect(parseSignature(`proxy=:AAAA:, sync=:${value}:`)).toBe(value);
  });

  it.each([
    undefined,
    '',
    `sig1=:${value}:`,
    `sync=${value}`,
    `sync=:${value}`,
    'sync=:AAAA:',
    `sync=:${value}:, sync=:${value}:`,
  ])('refuses %s', (header) => {
    expect(parseSignature(header)).toBeNull();
  });
});

describe('parseContentDigest', () => {
  it('finds sha-256 alone or among other algorithms (RFC 9530)', () => {
    expect(parseContentDigest(`sha-256=:${DIGEST}:`)).toBe(DIGEST);
    expect(parseContentDigest(`sha-512=:${'A'.repeat(86)}==:, sha-256=:${DIGEST}:`)).toBe(DIGEST);
    expect(parseContentDigest(`sha-256=:${DIGEST}:,unixsum=:AA==:`)).toBe(DIGEST);
  });

  it.each([
    undefined,
    '',
    `sha-512=:${'A'.repeat(86)}==:`,
    `sha-256=:${DIGEST}:, sha-256=:${DIGEST}:`,
    `SHA-256=:${DIGEST}:`,
    `sha-256=${DIGEST}`,
    `sha-256=:${DIGEST}:x`,
    `a="b, sha-256=:${DIGEST}:"`,
    'sha-256=:AAAA:',
  ])('refuses %s', (header) => {
    expect(parseContentDigest(header)).toBeNull();
  });
});
