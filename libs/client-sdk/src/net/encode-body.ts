import { LIMITS } from '@sync/protocol/device';
import { failure } from './failure.ts';
import type { Failure } from './transport.ts';

export interface EncodedBody {
  readonly ok: true;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly encoding: 'gzip' | null;
}

/** Shorter ones are not worth the work: fields alone have as much. */
export const MIN_BYTES_TO_COMPRESS = 1_024;

/**
 * JSON in UTF-8, compressed where the platform can and it helps.
 * @returns what is sent, or why the server would refuse it (COMMON-2, COMMON-4, COMMON-23)
 */
export async function encodeBody(value: unknown): Promise<EncodedBody | Failure> {
  const plain = new TextEncoder().encode(JSON.stringify(value));
  if (plain.length > LIMITS.bodyInflatedBytes) return tooLarge(plain.length);
  const packed = plain.length > MIN_BYTES_TO_COMPRESS ? await gzip(plain) : null;
  const isShorter = packed !== null && packed.length < plain.length;
  const bytes = isShorter ? packed : plain;
  if (bytes.length > LIMITS.bodyCompressedBytes) return tooLarge(bytes.length);
  const beyond = plain.length - LIMITS.bodyCompressedBytes;
  if (beyond > bytes.length * LIMITS.inflationRatio) return tooLarge(plain.length);
  return { ok: true, bytes, encoding: isShorter ? 'gzip' : null };
}

function tooLarge(bytes: number): Failure {
  return failure('too_large', `${bytes} bytes are more than a request may have, or inflate too much`);
}

/** @returns null where the platform cannot: React Native, Safari before 16.4 */
async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
  if (typeof (globalThis as { CompressionStream?: unknown }).CompressionStream === 'undefined') return null;
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
