import type { LocalMutation } from '@sync/protocol';
import type { OutboxEntry } from './entry.ts';

/** What one push may hold. */
export interface BatchBounds {
  readonly mutations: number;
  /** Characters of JSON. */
  readonly length: number;
}

/**
 * The mutations of the next push: what waits, in its order, as many as fit. A single one always fits, for the
 * server says best what is wrong with one that is too large.
 */
export function nextBatch(entries: Iterable<OutboxEntry>, bounds: BatchBounds): LocalMutation[] {
  const batch: LocalMutation[] = [];
  let length = 0;
  for (const { state, mutation } of entries) {
    if (state !== 'queued') continue;
    length += JSON.stringify(mutation).length;
    if (batch.length > 0 && length > bounds.length) break;
    batch.push(mutation);
    if (batch.length >= bounds.mutations) break;
  }
  return batch;
}
