import { isUtf8 } from 'node:buffer';
import { LIMITS, parseJson } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import type { RequestWork } from '../fairness/request-work.ts';
import { bodyLimitsOf } from './body-limits.ts';
import { inflateBody } from './inflate-body.ts';

const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/**
 * Replaces a request's raw bytes by the JSON value in them. An empty body is `undefined`, which every schema
 * refuses.
 * @throws ProblemError `unsupported_media_type`, `payload_too_large`, `malformed_json`, or `limit_exceeded`
 * for its depth or the number of its values
 */
export async function readJsonBody(request: FastifyRequest, work: RequestWork): Promise<void> {
  const raw = rawBodyOf(request);
  request.body = undefined;
  if (raw.length === 0) return;
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    throw new ProblemError('unsupported_media_type', 'Content-Type must be application/json, UTF-8');
  }
  const limits = bodyLimitsOf(request.routeOptions.url ?? '');
  const bytes = await inflateBody(raw, request.headers['content-encoding'], limits, work.asker);
  work.count({ bodyKib: (bytes.length - raw.length) / 1_024 });
  // Decoding would silently replace what is not UTF-8, and then something else would be stored than was sent.
  if (!isUtf8(bytes)) throw new ProblemError('malformed_json', 'The body is not UTF-8');
  const parsed = parseJson(bytes.toString('utf8'), LIMITS.jsonDepth, limits.jsonValues);
  if (!parsed.ok) throw new ProblemError(parsed.code, parsed.detail);
  request.body = parsed.value;
  request.bodySuspicious = parsed.suspicious;
}

const NOTHING = Buffer.alloc(0);

/** The bytes as sent, before any decoding: what `Content-Digest` covers. */
export function rawBodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : NOTHING;
}
