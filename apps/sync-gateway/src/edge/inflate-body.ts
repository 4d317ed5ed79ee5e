import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { type BodyLimits, LIMITS } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { Asker } from '../fairness/fair-line.ts';
import { FairPlaces } from '../fairness/fair-places.ts';

const gunzipBounded = promisify(gunzip);
const unbrotliBounded = promisify(brotliDecompress);

/** They bound what all bodies together may cost: places × 8 MiB. */
const PLACES = 16;

const places = new FairPlaces({ places: PLACES });

/**
 * A request body as plain bytes.
 * zlib stops as soon as its output passes the bound (97 kB of gzip inflate to 100 MB), so a hostile body
 * costs at most the bound.
 * @param encoding the `Content-Encoding` field: identity, gzip, x-gzip or br
 * @param asker whose turn it has to be
 * @throws ProblemError `unsupported_media_type`, `payload_too_large`, or `malformed_json` for damaged
 * compressed data
 */
export async function inflateBody(
  body: Buffer,
  encoding: string | undefined,
  limits: BodyLimits,
  asker: Asker,
): Promise<Buffer> {
  const maxOutputLength = inflatedRoom(body.length, limits);
  switch (encoding?.trim().toLowerCase() ?? 'identity') {
    case '':
    case 'identity':
      return body;
    case 'gzip':
    case 'x-gzip':
      return withPlace(asker, maxOutputLength, () => gunzipBounded(body, { maxOutputLength }));
    case 'br':
      return withPlace(asker, maxOutputLength, () => unbrotliBounded(body, { maxOutputLength }));
    default:
      throw new ProblemError('unsupported_media_type', 'Content-Encoding must be gzip or br');
  }
}

/**
 * What the caller could have sent without compression is free; beyond it, 83 bytes must not buy 8 MiB of
 * work.
 */
function inflatedRoom(sentBytes: number, { inflatedBytes }: BodyLimits): number {
  const byRatio = Math.max(LIMITS.bodyCompressedBytes, sentBytes * LIMITS.inflationRatio);
  return Math.min(inflatedBytes, byRatio);
}

async function withPlace(asker: Asker, room: number, inflate: () => Promise<Buffer>): Promise<Buffer> {
  try {
    return await places.run(asker, inflate);
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    if (codeOf(cause) === 'ERR_BUFFER_TOO_LARGE') {
      throw new ProblemError('payload_too_large', `The body inflates beyond ${room} bytes`);
    }
    throw new ProblemError('malformed_json', 'The compressed body is damaged', { cause });
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
