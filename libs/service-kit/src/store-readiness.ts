import type { NatsConnection } from '@nats-io/transport-node';
import { type Storing, StoreProbe } from '@sync/messaging';
import type { Metrics } from './metrics.ts';
import type { ReadinessCheck } from './operations.ts';

/**
 * Ready is who can store in JetStream: being connected to NATS says nothing about that. Also counted, for an
 * alert: a process that nobody asks for its readiness is still scraped.
 *
 * @param storing relays and owners of the process
 */
export function storeReadiness(
  nats: NatsConnection,
  metrics: Metrics,
  storing: readonly Storing[],
): ReadinessCheck {
  const probe = new StoreProbe(nats, storing);
  metrics.gauge('sync_jetstream_not_storing', '1 while JetStream does not store.', [], async (gauge) => {
    const failed = await probe.check().then(
      () => 0,
      () => 1,
    );
    gauge.set(failed);
  });
  return { name: 'jetstream', check: () => probe.check() };
}
