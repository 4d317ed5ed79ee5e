import type { Metrics } from '@sync/service-kit';

/** What the ingest reports. */
export interface IngestMetrics {
  /**
   * @param lagMs from the owner's commit of the newest delta to its ingest; null when none of them tells of
   * an event as it happens
   */
  ingested(messages: number, lagMs: number | null): void;
  /** Messages are gone for good. */
  lost(): void;
}

const LAG_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function ingestMetrics(metrics: Metrics): IngestMetrics {
  const messages = metrics.counter(
    'sync_ingest_messages_total',
    'DELTAS messages applied to the read model.',
  );
  const losses = metrics.counter('sync_ingest_losses_total', 'Gaps that the projector could not replay.');
  const lag = metrics.histogram(
    'sync_ingest_lag_seconds',
    'From the owning service’s commit to the read model, the newest delta of a batch; no snapshots, no ' +
      'replays.',
    [],
    LAG_BUCKETS_SECONDS,
  );
  return {
    ingested: (count, lagMs) => {
      messages.inc(count);
      if (lagMs !== null) lag.observe(lagMs / 1000);
    },
    lost: () => losses.inc(),
  };
}
