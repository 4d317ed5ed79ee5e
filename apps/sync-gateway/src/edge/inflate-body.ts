import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { LIMITS } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import { Places } from './places.ts';

const gunzipBounded = promisify(gunzip);
const unbrotliBounded = promisify(brotliDecompress);

/**
 * zlib stops as soon as its output passes the limit (97 kB of gzip inflate to 100 MB), so a hostile body
 * costs at most the limit. The places bound what all bodies together may cost: places × 8 MiB.
 */
const LIMIT = { maxOutputLength: LIMITS.bodyInflatedBytes };
const PLACES = 16;

const places = new Places(PLACES);

/**
 * A request body as plain bytes.
 * @param encoding the `Content-Encoding` field: identity, gzip, x-gzip or br
 * @throws ProblemError `unsupported_media_type`, `payload_too_large`, or `malformed_json` for damaged
 * compressed data
 */
export async function inflateBody(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  switch (encoding?.trim().toLowerCase() ?? 'identity') {
    case '':
    case 'identity':
      return body;
    case 'gzip':
    case 'x-gzip':
      return withPlace(() => gunzipBounded(body, LIMIT));
    case 'br':
      return withPlace(() => unbrotliBounded(body, LIMIT));
    default:
      throw new ProblemError('unsupported_media_type', 'Content-Encoding must be gzip or br');
  }
}

async function withPlace(inflate: () => Promise<Buffer>): Promise<Buffer> {
  try {
    return await places.run(inflate);
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    if (codeOf(cause) === 'ERR_BUFFER_TOO_LARGE') {
      throw new ProblemError(
        'payload_too_large',
        `The body inflates beyond ${LIMITS.bodyInflatedBytes} bytes`,
      );
    }
    throw new ProblemError('malformed_json', 'The compressed body is damaged', { cause });
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
