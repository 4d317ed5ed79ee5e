import type { MessagingMetrics } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Metrics } from './metrics.ts';

/**
 * The hop's own counts as Prometheus metrics, under the same names in every process that has an outbox or an
 * inbox, and what waits in them, read when somebody scrapes. Label values are bounded by the declared streams
 * and the registered services.
 */
export function messagingMetrics(metrics: Metrics, database: Pick<Database, 'call'>): MessagingMetrics {
  watchTables(metrics, database);
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

interface Waiting {
  readonly stream: string;
  readonly messages: number;
  readonly seconds: number;
}

interface Watermark {
  readonly stream: string;
  readonly producer: string;
  readonly partition: string;
  readonly epoch: string;
  readonly number: number;
}

/**
 * Rows without a number, and those with one that JetStream has not confirmed; each part by an index of its
 * own.
 */
const WAITING = `
SELECT stream, sum(messages)::float8 AS messages,
       coalesce(max(extract(epoch FROM clock_timestamp() - oldest)), 0)::float8 AS seconds
FROM (SELECT stream, count(*) AS messages, min(created_at) AS oldest FROM sync_outbox WHERE number IS NULL
  GROUP BY stream
      UNION ALL
      SELECT h.stream, h.number - h.published,
             (SELECT o.created_at FROM sync_outbox o
              WHERE o.stream = h.stream AND o.partition = h.partition AND o.number = h.published + 1)
      FROM sync_outbox_head h) AS part
GROUP BY stream`;

const WATERMARKS = `
SELECT stream, producer, partition::text, epoch, number::float8 FROM sync_inbox`;

function watchTables(metrics: Metrics, database: Pick<Database, 'call'>): void {
  const waiting = (): Promise<readonly Waiting[]> => database.call('hop_waiting', WAITING, []);
  metrics.gauge(
    'sync_outbox_waiting_messages',
    'Written and not yet confirmed by JetStream.',
    ['stream'],
    async (gauge) => {
      for (const { stream, messages } of await waiting()) gauge.set({ stream }, messages);
    },
  );
  metrics.gauge(
    'sync_relay_lag_seconds',
    'Age of the oldest message that is written and not yet confirmed by JetStream.',
    ['stream'],
    async (gauge) => {
      for (const { stream, seconds } of await waiting()) gauge.set({ stream }, seconds);
    },
  );
  metrics.gauge(
    'sync_inbox_watermark',
    'Number of the last message of a producer that is committed here.',
    ['stream', 'producer', 'partition', 'epoch'],
    async (gauge) => {
      const rows = await database.call<Watermark>('hop_watermarks', WATERMARKS, []);
      for (const { number, ...labels } of rows) gauge.set(labels, number);
    },
  );
}
