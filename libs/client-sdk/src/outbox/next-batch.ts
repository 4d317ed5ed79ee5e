import type { LocalMutation } from '@sync/protocol';
import type { OutboxEntry } from './entry.ts';

/** What one push may hold. */
export interface BatchBounds {
  readonly mutations: number;
  /** Of JSON in UTF-8. */
  readonly bytes: number;
}

/** Of JSON of each: a batch that is refused, or was lost, is put together again. */
const known = new WeakMap<LocalMutation, number>();
const encoder = new TextEncoder();

/**
 * The mutations of the next push: what waits, in its order, as many as fit. A single one always fits, for the
 * server says best what is wrong with one that is too large.
 * @param queued none that has an outcome
 */
export function nextBatch(queued: Iterable<OutboxEntry>, bounds: BatchBounds): LocalMutation[] {
  const batch: LocalMutation[] = [];
  let bytes = 0;
  for (const { mutation } of queued) {
    bytes += bytesOf(mutation);
    if (batch.length > 0 && bytes > bounds.bytes) break;
    batch.push(mutation);
    if (batch.length >= bounds.mutations) break;
  }
  return batch;
}

function bytesOf(mutation: LocalMutation): number {
  const bytes = known.get(mutation) ?? encoder.encode(JSON.stringify(mutation)).length;
  known.set(mutation, bytes);
  return bytes;
}
