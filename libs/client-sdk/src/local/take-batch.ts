import type { LocalMutation } from '@sync/protocol';
import { type BatchBounds, nextBatch } from '../outbox/next-batch.ts';
import type { LocalState } from './local-state.ts';

/**
 * Takes the mutations of the next push. From then on nobody changes them: whoever leads after this tab
 * changes only what it has written itself.
 * @throws NotLeadingError where another tab leads by now
 * @throws StorageClearedError, StoreReplacedError, StorageError
 */
export function takeBatch(local: LocalState, bounds: BatchBounds): Promise<LocalMutation[]> {
  return local.exclusively(async () => {
    const batch = nextBatch(local.mirror.outbox.queued(), bounds);
    for (const mutation of batch) local.unsent.delete(mutation);
    // Not before they are chosen: what is written later may be changed by another leader.
    if (batch.length > 0) await local.store.assertLeading();
    return batch;
  });
}
