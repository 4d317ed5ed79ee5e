import type { Metrics } from '@sync/service-kit';

/**
 * What operators see of pushes and of the background work they leave. Labels are bounded by registrations and
 * constants.
 */
export class PushMetrics {
  readonly outcomes;
  readonly ownerSeconds;
  readonly ownerOpen;
  readonly ownerLimit;
  readonly refused;
  readonly postponed;
  readonly givenUp;
  readonly unattributed;
  readonly conflicts;
  readonly tampered;
  readonly refusedTags;

  constructor(metrics: Metrics) {
    this.outcomes = metrics.counter('sync_push_outcomes_total', 'Outcomes given, by status.', ['status']);
    this.ownerSeconds = metrics.histogram(
      'sync_push_owner_seconds',
      'Duration of a push request to an owning service.',
      ['owner', 'result'],
    );
    this.ownerOpen = metrics.gauge(
      'sync_push_owner_circuit_open',
      '1 while nothing is sent to an owning service because it does not answer.',
      ['owner'],
    );
    this.ownerLimit = metrics.gauge(
      'sync_push_owner_requests_limit',
      'Requests that an owning service may have in hand of this gateway at once; ' +
        'it falls while answers are late.',
      ['owner'],
    );
    this.refused = metrics.counter('sync_push_refused_total', 'Pushes refused to protect the gateway.', [
      'reason',
    ]);
    this.conflicts = metrics.counter(
      'sync_conflicts_total',
      'Mutations whose entity had moved on since their base, when they were decided: ' +
        'merged (nothing lost), auto (the policy chose; recorded) or open (a person has to).',
      ['policy', 'decision'],
    );
    this.postponed = metrics.counter(
      'sync_push_postponed_total',
      'Mutations left to the dispatcher, by reason.',
      ['reason'],
    );
    this.givenUp = metrics.counter(
      'sync_push_given_up_total',
      'Mutations at which their owner kept failing; each is kept in a ConflictRecord.',
      ['owner', 'entityType'],
    );
    this.unattributed = metrics.counter(
      'sync_push_unattributed_total',
      'Changes of which an owning service without clocks did not tell its device, its time or what it wrote.',
      ['owner', 'entityType', 'missing'],
    );
    this.tampered = metrics.counter(
      'sync_tampered_mutations_total',
      'Stored mutations that were not what had come, and were not carried out.',
    );
    this.refusedTags = metrics.counter(
      'sync_refused_tags_total',
      'Mutations refused because of the tag of their device, by outcome code, when they came or had waited.',
      ['code', 'when'],
    );
  }
}
