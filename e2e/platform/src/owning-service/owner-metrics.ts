import type { OwnerMetrics } from '@sync/owner-sdk';
import type { Metrics } from '@sync/service-kit';

/** The SDK's reports as Prometheus metrics. */
export function ownerMetrics(metrics: Metrics): OwnerMetrics {
  const mutations = metrics.counter('owner_mutations_total', 'Mutations by entity type and answer.', [
    'entity_type',
    'answer',
  ]);
  const duration = metrics.histogram('owner_push_duration_seconds', 'Duration of a push batch.', [
    'entity_type',
  ]);
  const registered = metrics.gauge(
    'owner_registered',
    '1 while the gateway has this service’s registration.',
  );
  return {
    pushed({ entityType, durationMs, ...answers }) {
      for (const [answer, count] of Object.entries(answers)) {
        if (count > 0) mutations.inc({ entity_type: entityType, answer }, count);
      }
      duration.observe({ entity_type: entityType }, durationMs / 1000);
    },
    registered: (accepted) => registered.set(accepted ? 1 : 0),
  };
}
