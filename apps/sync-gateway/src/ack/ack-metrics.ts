import type { Metrics } from '@sync/service-kit';

/** What acks report. */
export interface AckMetrics {
  /** Digests that differed from the head's, and for how many of them a full resync was asked for. */
  digestMismatches(found: number, resyncs: number): void;
}

export function ackMetrics(metrics: Metrics): AckMetrics {
  const mismatches = metrics.counter(
    'sync_digest_mismatches_total',
    'Digests of devices that differed from the head, by whether a full resync was asked for.',
    ['action'],
  );
  return {
    digestMismatches: (found, resyncs) => {
      mismatches.inc({ action: 'resync' }, resyncs);
      mismatches.inc({ action: 'none' }, found - resyncs);
    },
  };
}
