import type { SubmitDecision } from '@sync/domain';
import type { Work } from '../outcome/settlement.ts';
import type { Standing } from './standing.ts';

/** A change to send, and where the entity stands before and, if the owner takes it, after. */
export interface Submission {
  readonly work: Work;
  readonly change: SubmitDecision;
  readonly before: Standing;
  readonly after: Standing;
}

/** Sent only because the entity has its dot already: an owner that applied it has it in its inbox, and `conflict` of another is no contention. */
export function isLookedUp({ work, change, before }: Omit<Submission, 'after'>): boolean {
  return work.registration.policy !== 'append_only' && change.expectedRevision === 0 && before.revision > 0;
}
