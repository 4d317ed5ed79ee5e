import { POLICIES, type SubmitDecision } from '@sync/domain';
import type { Work } from '../outcome/settlement.ts';
import { type Standing, standingAfter } from './standing.ts';

/** A change to send, and where the entity stands before and, if the owner takes it, after. */
export interface Submission {
  readonly work: Work;
  readonly change: SubmitDecision;
  readonly before: Standing;
  readonly after: Standing;
}

/** @param before where the entity stands, or is expected to stand, when the change reaches its owner */
export function submissionOf(
  work: Work,
  change: SubmitDecision,
  before: Standing,
  deviceId: string,
): Submission {
  const asked = { work, change, before };
  // What the entity has already, or is refused, adds no revision to it: counted as one, it would let the next
  // change overwrite one that nobody has seen.
  const after = isLookedUp(asked) ? before : standingAfter(before, work.mutation, deviceId, change);
  return { ...asked, after };
}

/**
 * Sent only because the entity has its dot already, or to have it refused: an owner that applied it has it in
 * its inbox, and `conflict` of another is no contention.
 */
export function isLookedUp({ work, change, before }: Omit<Submission, 'after'>): boolean {
  const { isWrittenOnce } = POLICIES[work.registration.policy];
  return !isWrittenOnce && (work.refuse !== null || (change.expectedRevision === 0 && before.revision > 0));
}
