import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);

/** Below this, headers and the call to the thread pool cost more than the bytes saved. */
const MIN_BYTES = 1_024;
const GZIP = { level: 4 };
const BROTLI_QUALITY = 4;
/** Browsers send 30. Whoever sends thousands of codings gets none. */
const MAX_HEADER_LENGTH = 500;

/**
 * Compresses an answer when the caller accepts it, in the thread pool.
 * @param payload what a handler sent; streams and small answers pass through
 */
export async function compressAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return payload;
  if (payload.length < MIN_BYTES || reply.hasHeader('content-encoding')) return payload;
  const vary = reply.getHeader('vary');
  void reply.header('vary', vary === undefined ? 'accept-encoding' : `${String(vary)}, accept-encoding`);
  const coding = preferredCoding(request.headers['accept-encoding']);
  if (coding === null) return payload;
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const packed = coding === 'br' ? await packWithBrotli(bytes) : await gzipAsync(bytes, GZIP);
  void reply.header('content-encoding', coding).removeHeader('content-length');
  return packed;
}

function packWithBrotli(bytes: Buffer): Promise<Buffer> {
  return brotliAsync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}

/**
 * The coding of RFC 9110, section 12.5.3, among ours: the highest weight wins, br before gzip when equal;
 * `q=0` forbids.
 * @returns null for identity
 */
export function preferredCoding(header: string | string[] | undefined): 'br' | 'gzip' | null {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return null;
  const weights = new Map<string, number>();
  for (const item of String(header).toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    weights.set(name, q === undefined ? 1 : Number(q.slice(2)) || 0);
  }
  const weightOf = (name: string): number => weights.get(name) ?? weights.get('*') ?? 0;
  const br = weightOf('br');
  const gzipWeight = Math.max(weightOf('gzip'), weights.get('x-gzip') ?? 0);
  if (br <= 0 && gzipWeight <= 0) return null;
  return br >= gzipWeight ? 'br' : 'gzip';
}
