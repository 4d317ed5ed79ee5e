const OFFSET_BASIS = 2_166_136_261;
const PRIME = 16_777_619;
const encoder = new TextEncoder();

/**
 * The partition of a key: FNV-1a, 32 bits, over its UTF-8 bytes (RFC 9923), modulo `partitions`.
 *
 * It is part of the contract between producers and consumers: the SQL function `sync_partition_of` and every
 * producer in another language must agree with it, which golden values in the tests pin. FNV and not a
 * stronger hash because it is ten lines in any language, SQL included, and keys are not chosen by an attacker
 * who gains from a hot partition.
 *
 * @throws RangeError when `partitions` is not a positive integer
 */
export function partitionOf(key: string, partitions: number): number {
  if (!Number.isInteger(partitions) || partitions < 1) {
    throw new RangeError(`partitionOf: ${partitions} is not a number of partitions`);
  }
  let hash = OFFSET_BASIS;
  for (const byte of encoder.encode(key)) hash = Math.imul(hash ^ byte, PRIME);
  return (hash >>> 0) % partitions;
}
