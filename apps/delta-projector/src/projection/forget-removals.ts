import type { FieldWrite, FieldWrites } from '@sync/domain';

/**
 * The field writes without the oldest removals, `bytes` of JSON fewer or as many as there are. Nothing else
 * ever takes the entry of a removed field away: an entity used as a map, whose keys come and go, would in the
 * end fit no message and stand still for good.
 *
 * What is lost: a device that had not seen the removal and writes the field brings it back unopposed. Values
 * that are there keep their entries.
 */
export function forgetRemovals(writes: FieldWrites, bytes: number): FieldWrites {
  const removed = Object.entries(writes).filter(([, { removedBy }]) => removedBy !== undefined);
  removed.sort(([, a], [, b]) => removedAtMs(a) - removedAtMs(b));
  const forgotten = new Set<string>();
  let left = bytes;
  for (const entry of removed) {
    if (left <= 0) break;
    forgotten.add(entry[0]);
    left -= Buffer.byteLength(JSON.stringify(entry)) - 1;
  }
  return Object.fromEntries(Object.entries(writes).filter(([field]) => !forgotten.has(field)));
}

function removedAtMs({ removedBy, atMs }: FieldWrite): number {
  return removedBy?.atMs ?? atMs;
}
