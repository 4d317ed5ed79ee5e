import type { LocalMutation } from '@sync/protocol';
import type { OutboxEntry } from './entry.ts';

/** What one push may hold. */
export interface BatchBounds {
  readonly mutations: number;
  /** Characters of JSON. */
  readonly length: number;
}

/** Characters of JSON of each: a batch that is refused, or was lost, is put together again. */
const lengths = new WeakMap<LocalMutation, number>();

/**
 * The mutations of the next push: what waits, in its order, as many as fit. A single one always fits, for the
 * server says best what is wrong with one that is too large.
 * @param queued none that has an outcome
 */
export function nextBatch(queued: Iterable<OutboxEntry>, bounds: BatchBounds): LocalMutation[] {
  const batch: LocalMutation[] = [];
  let length = 0;
  for (const { mutation } of queued) {
    length += lengthOf(mutation);
    if (batch.length > 0 && length > bounds.length) break;
    batch.push(mutation);
    if (batch.length >= bounds.mutations) break;
  }
  return batch;
}

function lengthOf(mutation: LocalMutation): number {
  const length = lengths.get(mutation) ?? JSON.stringify(mutation).length;
  lengths.set(mutation, length);
  return length;
}
