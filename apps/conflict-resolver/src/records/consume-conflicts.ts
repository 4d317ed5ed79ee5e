import type { NatsConnection } from '@nats-io/transport-node';
import { type MessagingMetrics, PartitionedConsumer } from '@sync/messaging';
import type { Owner } from '@sync/owner-sdk';
import type { Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import type { DetectedConflict } from './conflict-record.ts';
import { bringsRecord, recordConflicts } from './record-conflicts.ts';

/** Most events are of no interest here, and only move the watermark: larger batches cost less. */
const LINGER_MS = 1_000;
/**
 * Of one with a ConflictRecord, which a user may look for soon. Not 0: a push of a hundred with ten conflicts
 * cost this service 15 ms of CPU then, and 8 to 12 ms so.
 */
const RECORD_LINGER_MS = 100;

/** Reads sync events for the ConflictRecords among them. */
export function consumeConflicts(options: {
  readonly service: string;
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly logger: Logger;
  readonly metrics?: MessagingMetrics;
  readonly owner: Pick<Owner, 'announce' | 'kick'>;
  readonly suggestions: SuggestionSource;
  /** Told of every transaction that committed. */
  readonly recorded: (added: readonly DetectedConflict[]) => void;
  readonly lingerMs?: number;
}): PartitionedConsumer<DetectedConflict[]> {
  const { service, owner, suggestions, recorded, lingerMs = LINGER_MS, ...hop } = options;
  return new PartitionedConsumer({
    ...hop,
    stream: STREAMS.SYNC_EVENTS,
    consumer: service,
    lingerMs: (payload) => (bringsRecord(payload) ? RECORD_LINGER_MS : lingerMs),
    handle: (tx, batches) => recordConflicts(tx, batches, owner, suggestions),
    afterCommit: (added) => {
      recorded(added);
      if (added.length > 0) owner.kick();
    },
    onPruned: (pruned) => {
      hop.logger.error(
        { event: 'records_lost', ...pruned },
        'sync events were pruned before they were recorded',
      );
      return Promise.resolve();
    },
  });
}
