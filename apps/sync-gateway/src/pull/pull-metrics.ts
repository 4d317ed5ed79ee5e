import type { Metrics } from '@sync/service-kit';
import type { GatewayMemory } from '../heads/gateway-memory.ts';
import type { WaitingPulls } from './waiting-pulls.ts';

/** What pulls report. Durations are in `http_server_request_duration_seconds` by route. */
export interface PullMetrics {
  /** An answer was sent, with something new in it or not. */
  answered(isNews: boolean): void;
  /** A look that cost no round trip. */
  fromMemory(): void;
  /** A full resync of one scope begins; `reason` as in pull.sql. */
  reset(reason: string): void;
}

export function pullMetrics(metrics: Metrics, waiting: WaitingPulls, memory: GatewayMemory): PullMetrics {
  const pulls = metrics.counter('sync_pulls_total', 'Pulls answered, by whether they had anything new.', [
    'answer',
  ]);
  const memoryLooks = metrics.counter('sync_pull_memory_looks_total', 'Looks answered without the database.');
  const resets = metrics.counter('sync_resets_total', 'Full resyncs of one scope begun, by reason.', [
    'reason',
  ]);
  metrics.gauge('sync_waiting_pulls', 'Long polls that wait.', [], (gauge) => gauge.set(waiting.size));
  metrics.gauge('sync_memory_entries', 'Heads and devices kept in memory.', ['kind'], (gauge) => {
    gauge.set({ kind: 'head' }, memory.sizes.heads);
    gauge.set({ kind: 'device' }, memory.sizes.devices);
  });
  return {
    answered: (isNews) => pulls.inc({ answer: isNews ? 'news' : 'empty' }),
    fromMemory: () => memoryLooks.inc(),
    reset: (reason) => resets.inc({ reason }),
  };
}
