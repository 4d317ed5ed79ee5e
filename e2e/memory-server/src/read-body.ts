import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { BODY_LIMITS, type BodyLimits, LIMITS, parseJson } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit/problem-error';

const JSON_TYPE = /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;
const WITH_ENTITIES = ['/sync/v1/push', '/sync/v1/resolve-conflict'];

function limitsOf(path: string): BodyLimits {
  if (WITH_ENTITIES.includes(path)) return BODY_LIMITS.entities;
  return path === '/sync/v1/pull' ? BODY_LIMITS.pull : BODY_LIMITS.other;
}

/** As it was sent. @throws ProblemError `payload_too_large` */
export async function readRaw(request: IncomingMessage, path: string): Promise<Buffer> {
  const { sentBytes } = limitsOf(path);
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    // What comes after is read, and not kept: a client that is still sending reads no answer.
    if (bytes <= sentBytes) parts.push(part as Buffer);
  }
  if (bytes > sentBytes) throw new ProblemError('payload_too_large', `A body has at most ${sentBytes} bytes`);
  return Buffer.concat(parts);
}

/** @throws ProblemError as COMMON-1 to 5, 22 and 23 say */
export function readJson(raw: Buffer, path: string, { headers }: Pick<IncomingMessage, 'headers'>): unknown {
  if (raw.length === 0) return undefined;
  if (!JSON_TYPE.test(headers['content-type'] ?? ''))
    throw new ProblemError('unsupported_media_type', 'Content-Type must be application/json, UTF-8');
  const limits = limitsOf(path);
  const byRatio = Math.max(LIMITS.bodyCompressedBytes, raw.length * LIMITS.inflationRatio);
  const room = Math.min(limits.inflatedBytes, byRatio);
  const bytes = inflate(raw, headers['content-encoding'] ?? 'identity', room);
  if (!isUtf8(bytes)) throw new ProblemError('malformed_json', 'The body is not UTF-8');
  const parsed = parseJson(bytes.toString('utf8'), LIMITS.jsonDepth, limits.jsonValues);
  if (!parsed.ok) throw new ProblemError(parsed.code, parsed.detail);
  return parsed.value;
}

function inflate(raw: Buffer, encoding: string, maxOutputLength: number): Buffer {
  try {
    switch (encoding) {
      case 'identity':
        return raw;
      case 'gzip':
        return gunzipSync(raw, { maxOutputLength });
      case 'br':
        return brotliDecompressSync(raw, { maxOutputLength });
      default:
        throw new ProblemError('unsupported_media_type', 'Content-Encoding must be gzip or br');
    }
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    // Under Jest, what Node throws is no instance of this `Error`.
    const isTooLarge = (cause as { readonly code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
    const code = isTooLarge ? 'payload_too_large' : 'malformed_json';
    throw new ProblemError(code, 'The compressed body is damaged, or too much', { cause });
  }
}
