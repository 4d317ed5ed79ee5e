import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { SeededRandom } from '@sync/e2e-platform';
import { hostileValue } from './hostile-values.ts';

/** A request before it is signed. */
export interface Draft {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: unknown;
}

/** Changes one value somewhere in a JSON value: puts another there, leaves it out, doubles it, renames it. */
export function distortValue(value: unknown, random: SeededRandom, known: readonly string[]): unknown {
  const isDeep = typeof value === 'object' && value !== null;
  const size = isDeep ? Object.keys(value).length : 0;
  if (size === 0 || random.next() < 0.15) return hostileValue(random, known);
  if (Array.isArray(value)) {
    const at = random.between(0, size - 1);
    const list = value as readonly unknown[];
    const changed = distortValue(list[at], random, known);
    return random.pick([
      list.map((one, place) => (place === at ? changed : one)),
      list.filter((_, place) => place !== at),
      [...list, list[at]],
    ]);
  }
  const entries = Object.entries(value as object) as [string, unknown][];
  const at = random.between(0, size - 1);
  const [name, inside] = entries[at] as [string, unknown];
  const others = entries.filter((_, place) => place !== at);
  return Object.fromEntries<unknown>(
    random.pick<[string, unknown][]>([
      [...others, [name, distortValue(inside, random, known)]],
      others,
      [...entries, [random.pick(['', 'tenantId', 'userId', '__proto__', 'x'.repeat(300)]), inside]],
      [...others, [`${name} `, inside]],
    ]),
  );
}

/** Changes the path or the query: other parameters, repeated ones, encodings that are none. */
export function distortPath(path: string, random: SeededRandom, known: readonly string[]): string {
  const hostile = encodeURIComponent(text(hostileValue(random, known)).toWellFormed().slice(0, 3_000));
  const joint = path.includes('?') ? '&' : '?';
  return random.pick([
    `${path}${joint}limit=${hostile}`,
    `${path}${joint}cursor=${hostile}`,
    `${path}${joint}${hostile}=1&${hostile}=2`,
    path.replace(/[^/]+$/, hostile),
    path.replace('/v1/', '/v1//'),
    path.replace('/v1/', '/%76%31/'),
    `${path}/%ff`,
    `${path};a=b`,
  ]);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The bytes of a body as they are sent: sometimes cut, mixed up, doubled, or compressed to less or nothing. */
export function distortBytes(
  bytes: Buffer,
  random: SeededRandom,
): { readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> } {
  const at = random.between(0, Math.max(0, bytes.length - 1));
  return random.pick<() => ReturnType<typeof distortBytes>>([
    () => ({ bytes: bytes.subarray(0, at), headers: {} }),
    () => ({
      bytes: Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at)]),
      headers: {},
    }),
    () => ({ bytes: Buffer.concat([bytes, bytes]), headers: {} }),
    () => ({ bytes: gzipSync(bytes), headers: { 'content-encoding': 'gzip' } }),
    () => ({ bytes: gzipSync(bytes).subarray(0, at), headers: { 'content-encoding': 'gzip' } }),
    () => ({ bytes: gzipSync(Buffer.alloc(200_000, 0x20)), headers: { 'content-encoding': 'gzip' } }),
    () => ({ bytes: brotliCompressSync(Buffer.alloc(900_000, '[')), headers: { 'content-encoding': 'br' } }),
    () => ({ bytes: deflateSync(bytes), headers: { 'content-encoding': 'deflate' } }),
    () => ({ bytes, headers: { 'content-encoding': 'gzip, gzip' } }),
    () => ({ bytes, headers: { 'content-type': 'text/plain' } }),
    () => ({ bytes: Buffer.from(bytes.toString('latin1'), 'utf16le'), headers: {} }),
  ])();
}

/** Headers that say who calls, changed a little or a lot; undefined takes one away. */
export function distortHeaders(
  headers: Readonly<Record<string, string>>,
  random: SeededRandom,
): Readonly<Record<string, string | undefined>> {
  const { authorization = '', signature = '', 'signature-input': input = '' } = headers;
  const middle = random.between(0, Math.max(0, authorization.length - 1));
  return random.pick<Readonly<Record<string, string | undefined>>>([
    { authorization: undefined },
    { signature: undefined },
    { authorization: authorization.slice(0, middle) },
    { authorization: `${authorization.slice(0, middle)}A${authorization.slice(middle + 1)}` },
    { authorization: `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.` },
    { authorization: authorization.replace('Bearer ', 'Basic ') },
    { signature: signature.replace(/[A-Za-z]/, 'Z') },
    { signature: `${signature}, other=:AAAA:` },
    { signature: `sync=:${'A'.repeat(8_000)}:` },
    {
      'signature-input': input.replace(
        /created=\d+/,
        `created=${random.pick(['0', '-1', '9'.repeat(15), '1e9'])}`,
      ),
    },
    {
      'signature-input': input.replace(/keyid="[^"]*"/, `keyid="${random.pick(['', 'd', 'x'.repeat(500)])}"`),
    },
    { 'signature-input': `${input};tag="x"` },
    { 'signature-input': 'sync=('.repeat(500) },
    { 'content-digest': 'sha-256=:AAAA:' },
    { 'content-digest': 'md5=:AAAA:' },
    { accept: 'text/html', 'accept-encoding': 'x'.repeat(2_000) },
    { 'x-forwarded-for': '127.0.0.1', 'x-original-url': '/metrics', 'x-http-method-override': 'DELETE' },
  ]);
}
