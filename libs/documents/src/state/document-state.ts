import { createHash } from 'node:crypto';
import * as Y from 'yjs';
import { readUpdate } from '../admission/read-update.ts';
import { TooDeepError, nestingDepth } from './nesting-depth.ts';
import { advanceStateVector, encodeStateVector, type StateVector } from './state-vector.ts';

/** Structs were left over that depend on updates that are not here. */
export class IncompleteStateError extends Error {
  constructor() {
    super('the updates depend on others that are missing');
    this.name = 'IncompleteStateError';
  }
}

/**
 * Everything of a document as one update (V1): `base` (an earlier result, or null) with `updates` on top, in
 * the order in which they were admitted. Deleted content is dropped; its clocks remain.
 *
 * All updates are applied to an empty document in one transaction. `Y.mergeUpdates` was the alternative: for
 * 20,000 updates it takes 9.5 s flat, 180 ms in batches of 500, and leaves every keystroke a struct of its
 * own; this takes 60 to 130 ms and the result is up to a third smaller, because neighbours that were typed in
 * one go become one struct.
 *
 * @param maxDepth how deep shared types may be nested in each other; a base that is deeper already may stay
 * so
 * @throws IncompleteStateError when something is missing in between; TooDeepError
 */
export function squash(
  base: Uint8Array | null,
  updates: readonly Uint8Array[],
  maxDepth = Infinity,
): Uint8Array {
  const doc = loadDocument(base === null ? updates : [base, ...updates], true);
  const depth = maxDepth === Infinity ? 0 : nestingDepth(doc);
  if (depth > maxDepth && (base === null || depth > nestingDepth(loadDocument([base], true)))) {
    throw new TooDeepError(depth, maxDepth);
  }
  return Y.encodeStateAsUpdate(doc);
}

/**
 * A document in memory, for as long as one computation takes.
 * @param gc false keeps deleted content, as far as the updates have it
 * @throws IncompleteStateError
 */
export function loadDocument(updates: readonly Uint8Array[], gc: boolean): Y.Doc {
  const doc = new Y.Doc({ gc });
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update);
  });
  if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) throw new IncompleteStateError();
  return doc;
}

/**
 * What a device with this state vector lacks, deletions in full; for one that has nothing, the state. No
 * document is loaded.
 */
export function diffFor(state: Uint8Array, stateVector: StateVector): Uint8Array {
  if (stateVector.size === 0) return state;
  return Y.diffUpdate(state, encodeStateVector(stateVector));
}

/**
 * How far a state reaches, read from its bytes.
 * @throws RefusedUpdateError
 */
export function stateVectorOf(state: Uint8Array): Map<number, number> {
  return advanceStateVector(new Map(), readUpdate(state).runs);
}

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
