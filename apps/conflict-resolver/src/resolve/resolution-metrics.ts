import type { ConflictResolveReply, ResolutionKind } from '@sync/protocol';
import type { Metrics } from '@sync/service-kit';
import type { ConflictRow } from '../records/conflict-store.ts';

/** Seconds: people take minutes to weeks. */
const OPEN_BUCKETS_SECONDS = [1, 10, 60, 300, 1_800, 7_200, 28_800, 86_400, 259_200, 604_800, 2_592_000];

/** What is counted of resolutions by people. */
export class ResolutionMetrics {
  readonly #replies;
  readonly #seconds;

  constructor(metrics: Metrics) {
    this.#replies = metrics.counter(
      'sync_conflict_resolutions_total',
      'Requests to resolve a conflict, by result.',
      ['result'],
    );
    this.#seconds = metrics.histogram(
      'sync_conflict_resolution_seconds',
      'From detection of a conflict to its resolution by a person.',
      ['policy', 'kind'],
      OPEN_BUCKETS_SECONDS,
    );
  }

  answered(reply: ConflictResolveReply): ConflictResolveReply {
    this.#replies.inc({ result: reply.kind });
    return reply;
  }

  settled({ policy }: ConflictRow, kind: ResolutionKind, openMs: number): void {
    this.#seconds.observe({ policy, kind }, openMs / 1_000);
  }
}
