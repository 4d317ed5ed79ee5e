import { canonicalClockJson } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';

const MODULUS = 1n << 256n;
const HASH = /^[0-9a-f]{64}$/;

/** The digest of a scope without live entities. */
export const EMPTY_DIGEST = '0'.repeat(64);

/**
 * The text whose SHA-256 (over UTF-8) an entity adds to its scope's digest: `entityType NUL entityId NUL
 * canonical clock JSON`. Hashing is the caller's: Node, browsers and React Native each have their own.
 */
export function entityDigestInput(entityType: string, entityId: string, clock: VectorClock): string {
  return `${entityType}\u0000${entityId}\u0000${canonicalClockJson(clock)}`;
}

/**
 * Adds one entity's hash to a scope's digest: a sum modulo 2^256, so it does not depend on order and one
 * change costs one subtraction and one addition. Both are 64 lower-case hex digits.
 * @throws RangeError when one of them is not
 */
export function addToDigest(sumHex: string, hashHex: string): string {
  return toHex(fromHex(sumHex) + fromHex(hashHex));
}

/** Takes one entity's hash out of a scope's digest; the inverse of `addToDigest`. */
export function subtractFromDigest(sumHex: string, hashHex: string): string {
  return toHex(fromHex(sumHex) - fromHex(hashHex) + MODULUS);
}

function fromHex(hex: string): bigint {
  if (!HASH.test(hex)) throw new RangeError('a digest is 64 lower-case hexadecimal digits');
  return BigInt(`0x${hex}`);
}

function toHex(value: bigint): string {
  return (value % MODULUS).toString(16).padStart(64, '0');
}
