import { performance } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Seconds; from a memory-only answer to the slowest that an SLO tolerates. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const COLLECT_LIMIT_MS = 2_000;

/**
 * prom-client measures the event loop's delay with a timer of its own, by default every 10 ms: 5 ms of CPU a
 * second in every process, a quarter of what the whole platform may use while it is idle. Once an hour is as
 * good as never; what would be computed from it is taken out, and the loop's own count of busy time is there
 * instead.
 */
const DELAY_EVERY_MS = 3_600_000;
const DELAYS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];

async function inTime(collect: () => void | Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), COLLECT_LIMIT_MS);
  const ended = Promise.resolve()
    .then(collect)
    .catch(() => undefined);
  await Promise.race([ended, late]);
  clearTimeout(timer);
}

/** The process's metrics, named after Prometheus' conventions: base unit last, `_total` for counters. */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: DELAY_EVERY_MS });
    for (const delay of DELAYS) this.registry.removeSingleMetric(`nodejs_eventloop_lag_${delay}_seconds`);
    new Counter({
      name: 'nodejs_eventloop_active_seconds_total',
      help: 'Time in which the event loop was not waiting; its rate is the share of time that it is busy.',
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(performance.eventLoopUtilization().active / 1_000);
      },
    });
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  /**
   * @param collect called at each scrape, for values that are cheaper to read than to follow. A scrape
   *   answers also while Postgres is away: where `collect` fails, or takes long, the gauge keeps its last
   *   value
   */
  gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    return new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect
        ? {
            collect(this: Gauge<L>) {
              return inTime(() => collect(this));
            },
          }
        : {}),
    });
  }

  histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets: readonly number[] = DURATION_BUCKETS_SECONDS,
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [this.registry] });
  }
}
