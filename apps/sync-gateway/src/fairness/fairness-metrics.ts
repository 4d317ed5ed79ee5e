import { PRIORITIES, type Priority } from '@sync/protocol';
import type { Metrics } from '@sync/service-kit';
import { type AdmitRequests, LIMITED, type Limited } from './admit-requests.ts';
import type { Strain } from './shed-load.ts';

/** What operators see of limits, lines and shedding. */
export interface FairnessMetrics {
  limited(by: Limited): void;
  shed(priority: Priority): void;
  /** How long one waited who got a place. */
  entered(waitedMs: number): void;
  looked(strain: Strain, level: number): void;
  /** An answer was given up because its client does not read it. */
  slowReader(): void;
  /** Values that are read when they are asked for. */
  watch(admission: AdmitRequests): void;
}

const LINE_BUCKETS_SECONDS = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function fairnessMetrics(metrics: Metrics): FairnessMetrics {
  const limited = metrics.counter(
    'sync_rate_limited_total',
    'Requests answered 429 because their device, user or tenant had caused too much work.',
    ['by'],
  );
  const shed = metrics.counter(
    'sync_shed_requests_total',
    'Requests answered 503 because the gateway was late, by priority.',
    ['priority'],
  );
  const line = metrics.histogram(
    'sync_request_line_seconds',
    'How long requests waited for a place before the gateway worked on them.',
    [],
    LINE_BUCKETS_SECONDS,
  );
  const slow = metrics.counter(
    'sync_slow_answers_total',
    'Connections closed because their clients do not read the answer.',
  );
  const level = metrics.gauge(
    'sync_shed_priorities',
    `Priorities that are refused now, lowest first, of ${PRIORITIES.length}.`,
  );
  const loop = metrics.gauge(
    'sync_event_loop_delay_seconds',
    'Mean delay of the event loop when last looked at.',
  );
  const pool = metrics.gauge(
    'sync_pool_wait_seconds',
    'Mean wait of requests for a connection to Postgres when last looked at.',
  );
  for (const by of LIMITED) limited.inc({ by }, 0);
  for (const priority of PRIORITIES) shed.inc({ priority }, 0);
  return {
    limited: (by) => limited.inc({ by }),
    shed: (priority) => shed.inc({ priority }),
    entered: (waitedMs) => line.observe(waitedMs / 1_000),
    looked: ({ loopDelayMs, poolWaitMs }, shedNow) => {
      loop.set(loopDelayMs / 1_000);
      pool.set(poolWaitMs / 1_000);
      level.set(shedNow);
    },
    slowReader: () => slow.inc(),
    watch: (admission) => watchPlaces(metrics, admission),
  };
}

function watchPlaces(metrics: Metrics, admission: AdmitRequests): void {
  const { places } = admission;
  metrics.gauge(
    'sync_request_places',
    'Requests that may be worked on at once, and those that are.',
    ['state'],
    (gauge) => {
      gauge.set({ state: 'all' }, places.places);
      gauge.set({ state: 'taken' }, places.taken);
    },
  );
  metrics.gauge('sync_requests_in_line', 'Requests that wait for a place.', [], (gauge) =>
    gauge.set(places.waiting),
  );
  metrics.gauge(
    'sync_work_buckets',
    'Devices, users and tenants that have caused work of late.',
    ['of'],
    (gauge) => {
      for (const limited of LIMITED) gauge.set({ of: limited }, admission.bucketCount(limited));
    },
  );
}
