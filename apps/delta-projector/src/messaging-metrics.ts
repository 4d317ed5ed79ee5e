import type { MessagingMetrics } from '@sync/messaging';
import type { Metrics } from '@sync/service-kit';

/** The hop's own counts as Prometheus metrics; label values are bounded by the declared streams and the registered services. */
export function messagingMetrics(metrics: Metrics): MessagingMetrics {
  const pending = metrics.gauge(
    'sync_relay_pending_messages',
    'Numbered but not yet confirmed by JetStream.',
    ['stream', 'partition'],
  );
  const published = metrics.counter('sync_relay_published_messages_total', 'Confirmed by JetStream.', [
    'stream',
  ]);
  const lag = metrics.gauge(
    'sync_consumer_lag_messages',
    'Watermark behind the producer’s announced last number.',
    ['stream', 'partition', 'producer'],
  );
  const consumed = metrics.counter('sync_consumed_messages_total', 'Committed with their effects.', [
    'stream',
  ]);
  const duplicates = metrics.counter(
    'sync_duplicate_messages_total',
    'Known by their number and passed over.',
    ['stream'],
  );
  const gaps = metrics.counter('sync_message_gaps_total', 'A number was missing, a replay was asked for.', [
    'stream',
  ]);
  const replayed = metrics.counter('sync_replayed_messages_total', 'Got from the producer’s outbox.', [
    'stream',
  ]);
  const retried = metrics.counter('sync_retried_batches_total', 'Batches that failed and came again.', [
    'stream',
  ]);
  const moves = metrics.counter('sync_lease_moves_total', 'Leases acquired, released and lost.', ['change']);
  return {
    relayPending: (stream, partition, messages) =>
      pending.set({ stream, partition: String(partition) }, messages),
    relayPublished: (stream, _partition, messages) => published.inc({ stream }, messages),
    consumerLag: (_consumer, stream, partition, producer, messages) =>
      lag.set({ stream, partition: String(partition), producer }, messages),
    consumed: (_consumer, stream, _partition, messages) => consumed.inc({ stream }, messages),
    duplicates: (_consumer, stream, messages) => duplicates.inc({ stream }, messages),
    gap: (_consumer, stream) => gaps.inc({ stream }),
    replayed: (_consumer, stream, messages) => replayed.inc({ stream }, messages),
    retried: (_consumer, stream) => retried.inc({ stream }),
    leaseMoved: (_group, change) => moves.inc({ change }),
  };
}
