import { hash } from 'node:crypto';

/**
 * A UUID that is the same for the same text: version 8 (RFC 9562, our own derivation), from the text's
 * SHA-256. For ids of things that are made once however often they are tried.
 */
export function derivedUuid(text: string): string {
  const digest = hash('sha256', text, 'hex');
  const variant = '89ab'[Number.parseInt(digest[16] ?? '0', 16) % 4] ?? '8';
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}
