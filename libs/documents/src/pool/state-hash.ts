import { createHash } from 'node:crypto';
import { readUpdate } from '../admission/read-update.ts';
import { advanceStateVector, encodeStateVector } from '../state/state-vector.ts';

/**
 * SHA-256, hex, over the state vector and the deleted ranges: equal for two replicas that hold the same
 * changes, however these are cut into structs and in whatever order they came. Content needs no hashing:
 * admission makes a clock of a clientID mean one thing for ever.
 */
export function stateHash(state: Uint8Array): string {
  const outline = readUpdate(state);
  const hash = createHash('sha256').update(encodeStateVector(advanceStateVector(new Map(), outline.runs)));
  for (const [client, ranges] of normalizeDeletes(outline.deletes)) {
    hash.update(`|${client}`);
    for (const [from, to] of ranges) hash.update(`,${from}-${to}`);
  }
  return hash.digest('hex');
}

/** By clientID, in ascending order, neighbouring and overlapping ranges joined. */
function normalizeDeletes(deletes: readonly number[]): [number, [from: number, to: number][]][] {
  const byClient = new Map<number, [number, number][]>();
  for (let at = 0; at < deletes.length; at += 3) {
    const [client = 0, from = 0, length = 0] = deletes.slice(at, at + 3);
    const ranges = byClient.get(client) ?? [];
    if (ranges.length === 0) byClient.set(client, ranges);
    ranges.push([from, from + length]);
  }
  return [...byClient].sort(([a], [b]) => a - b).map(([client, ranges]) => [client, joinRanges(ranges)]);
}

function joinRanges(ranges: readonly [number, number][]): [number, number][] {
  const joined: [number, number][] = [];
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}
