import type { Metrics } from '@sync/service-kit';
import type { IncomingEvent } from './incoming-event.ts';
import type { EventOutcome } from './project-events.ts';

/** Seconds; the objective is a p99 below 30 s, the usual value a few milliseconds. */
const LAG_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 300, 3600];

/** What the projection counts; alert rules and dashboards use these names. */
export class ProjectionMetrics {
  readonly batchSeconds;
  readonly #events;
  readonly #lagSeconds;
  readonly #deadLetters;
  readonly #backfilled;

  constructor(metrics: Metrics) {
    this.#events = metrics.counter('sync_projection_events_total', 'Events, by what became of them.', [
      'result',
    ]);
    this.#lagSeconds = metrics.histogram(
      'sync_projection_lag_seconds',
      'From the commit of the owning service to the commit of the projection, per changed event; no ' +
        'snapshots, no replays.',
      [],
      LAG_BUCKETS_SECONDS,
    );
    this.batchSeconds = metrics.histogram('sync_projection_batch_seconds', 'Duration of one batch.');
    this.#deadLetters = metrics.counter('sync_dead_letters_total', 'Events that could not be projected.', [
      'code',
    ]);
    this.#backfilled = metrics.counter('sync_backfill_entities_total', 'Entities read from snapshots.', [
      'entity_type',
    ]);
  }

  /** Counts a batch of live events after its commit. */
  observeBatch(incoming: readonly IncomingEvent[], outcomes: readonly EventOutcome[]): void {
    const now = Date.now();
    this.countOutcomes(outcomes);
    for (const [at, outcome] of outcomes.entries()) {
      const read = incoming[at]?.read;
      if (outcome.kind !== 'changed' || read?.kind !== 'readable') continue;
      this.#lagSeconds.observe(Math.max(0, now - read.timeMs) / 1000);
    }
  }

  /** Counts a page of a snapshot after its commit. */
  countBackfill(entityType: string, outcomes: readonly EventOutcome[]): void {
    this.#backfilled.inc({ entity_type: entityType }, outcomes.length);
    this.countOutcomes(outcomes);
  }

  /** Counts events whose time says nothing about lag: of a snapshot, or replayed. */
  countOutcomes(outcomes: readonly EventOutcome[]): void {
    const counts = { changed: 0, stale: 0, refused: 0 };
    for (const outcome of outcomes) {
      counts[outcome.kind] += 1;
      if (outcome.kind === 'refused') this.#deadLetters.inc({ code: outcome.code });
    }
    for (const [result, count] of Object.entries(counts)) if (count > 0) this.#events.inc({ result }, count);
  }
}
