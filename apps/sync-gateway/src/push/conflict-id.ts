import { hash } from 'node:crypto';

/**
 * The id of the ConflictRecord of a mutation: the same whenever and by whomever it is decided, so that a decision taken twice is one
 * record. A UUID of version 8 (RFC 9562): our own derivation, SHA-256 of the mutationId.
 */
export function conflictIdOf(mutationId: string): string {
  const digest = hash('sha256', `conflict\0${mutationId}`, 'hex');
  const variant = '89ab'[Number.parseInt(digest[16] ?? '0', 16) % 4] ?? '8';
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}
