import { createHmac, type KeyObject, hash } from 'node:crypto';
import {
  LIMITS,
  parseContentDigest,
  parseSignature,
  parseSignatureInput,
  type SignatureInput,
  signatureBase,
} from '@sync/protocol';
import { ProblemError } from './problem-error.ts';
import { isEqual } from './is-equal.ts';

/** The parts of a request that its signature covers, and the signature itself. */
export interface SignedParts {
  readonly method: string;
  /** As sent: path and, after `?`, the query. */
  readonly url: string;
  readonly authorization: string;
  readonly signatureInput: string | undefined;
  readonly signature: string | undefined;
  readonly contentDigest: string | undefined;
  /** The fields say that a body of at least one byte follows. */
  readonly announcesBody: boolean;
}

/** A signature that is well-formed and fresh, but not verified yet: its key is still to be fetched. */
export interface ClaimedSignature {
  readonly input: SignatureInput;
  /** 32 bytes as base64. */
  readonly value: string;
  readonly digest: string | null;
}

/**
 * Reads the signature fields; everything that can be refused without the device's key is refused here.
 * @throws ProblemError `signature_invalid`, or `clock_skew` when `created` is more than 300 s away
 */
export function readSignature(parts: SignedParts, nowMs: number): ClaimedSignature {
  const isRead = parts.method === 'GET' || parts.method === 'HEAD';
  // Without a body there is nothing a digest would protect: a request without one may omit it as GET does.
  const mayOmitDigest = isRead || !parts.announcesBody;
  const withDigest = isRead ? null : parseSignatureInput(parts.signatureInput, true);
  const input = withDigest ?? (mayOmitDigest ? parseSignatureInput(parts.signatureInput, false) : null);
  if (!input) throw invalid('Signature-Input is missing, malformed, or covers too little');
  const value = parseSignature(parts.signature);
  if (value === null) throw invalid('Signature is missing or malformed');
  const digest = withDigest ? parseContentDigest(parts.contentDigest) : null;
  if (withDigest && digest === null) throw invalid('Content-Digest with sha-256 is missing or malformed');
  const skewSeconds = input.createdSeconds - nowMs / 1000;
  if (Math.abs(skewSeconds) > LIMITS.signatureSkewSeconds) {
    throw new ProblemError('clock_skew', `created is ${Math.round(skewSeconds)} s away from server time`);
  }
  return { input, value, digest };
}

/**
 * Whether one of the keys made the signature; each is compared in constant time. The body need not be there,
 * only its digest is signed.
 */
export function isSignedWith(
  keys: readonly KeyObject[],
  parts: SignedParts,
  claimed: ClaimedSignature,
): boolean {
  const at = parts.url.indexOf('?');
  const base = signatureBase(
    {
      method: parts.method,
      path: at < 0 ? parts.url : parts.url.slice(0, at),
      query: at < 0 ? '?' : parts.url.slice(at),
      contentDigest: parts.contentDigest ?? null,
      authorization: parts.authorization,
    },
    claimed.input.components,
    claimed.input.params,
  );
  return keys.some((key) => isEqual(createHmac('sha256', key).update(base).digest('base64'), claimed.value));
}

/**
 * Checks that the body is the signed one, in constant time.
 * @param digest as signed; null when it was left out, and then there must be no body
 * @param rawBody as sent, still compressed
 * @throws ProblemError `signature_invalid`
 */
export function verifyBody(digest: string | null, rawBody: Buffer): void {
  if (digest === null) {
    if (rawBody.length > 0) throw invalid('Signature-Input does not cover the digest of the body');
    return;
  }
  if (!isEqual(hash('sha256', rawBody, 'base64'), digest))
    throw invalid('Content-Digest does not match the body');
}

function invalid(detail: string): ProblemError {
  return new ProblemError('signature_invalid', detail);
}
