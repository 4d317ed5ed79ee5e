import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { EMPTY_DIGEST, addToDigest, entityDigestInput, subtractFromDigest } from '@sync/domain';
import type { Digest, RemoteDelta } from '@sync/protocol';

/** Of a scope without live entities. */
export const NOTHING: Digest = { count: 0, hash: EMPTY_DIGEST };

/**
 * The digest (PULL-6) after an entity has changed. SHA-256 in JavaScript and not WebCrypto's: that one
 * answers later, and costs more than the hash of so few bytes.
 * @param before as it was counted; null or a deletion when it was not
 * @param after as it counts now
 */
export function changeDigest(digest: Digest, before: RemoteDelta | null, after: RemoteDelta | null): Digest {
  let { count, hash } = digest;
  if (before && before.op !== 'delete') {
    count -= 1;
    hash = subtractFromDigest(hash, hashOf(before));
  }
  if (after && after.op !== 'delete') {
    count += 1;
    hash = addToDigest(hash, hashOf(after));
  }
  return { count, hash };
}

export function sameDigest(one: Digest, other: Digest): boolean {
  return one.count === other.count && one.hash === other.hash;
}

function hashOf({ entityType, entityId, clock }: RemoteDelta): string {
  return bytesToHex(sha256(utf8ToBytes(entityDigestInput(entityType, entityId, clock))));
}
