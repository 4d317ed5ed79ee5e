import { hash } from 'node:crypto';
import { addToDigest, EMPTY_DIGEST, entityDigestInput } from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';

/**
 * The digest of a scope by its definition, of the live entities that a device holds: to be compared with the
 * one that a page tells.
 */
export function digestOf(held: Iterable<RemoteDelta>): { readonly count: number; readonly hash: string } {
  const deltas = [...held];
  const sum = deltas.reduce((before, { entityType, entityId, clock }) => {
    return addToDigest(before, hash('sha256', entityDigestInput(entityType, entityId, clock), 'hex'));
  }, EMPTY_DIGEST);
  return { count: deltas.length, hash: sum };
}
