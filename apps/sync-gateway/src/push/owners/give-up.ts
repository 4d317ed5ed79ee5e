import { heldConflict } from '../decide/conflict-of.ts';
import { stateOfHead } from '../../read-model/entity-head.ts';
import { refusedHere, type Settled, type Work } from '../outcome/settlement.ts';

/**
 * How often an owner answered and had no answer for a mutation that it was sent alone; see push-complete.sql.
 */
export interface Failing {
  /** The present attempt included. */
  readonly failures: number;
  /** Epoch milliseconds of the first of them; null while there was none before this attempt. */
  readonly sinceMs: number | null;
}

/**
 * So many answers without one for the mutation: a release that was bad for an hour is not held against it.
 */
export const FAILURES_BEFORE_GIVING_UP = 20;
/**
 * While its owner answers no mutation of the type at all, it is probably its release that is broken and not
 * the mutation.
 */
const PATIENCE_WITH_ALL = 7;

/**
 * Whether a mutation's owner has had its chance. Only answers of the owner count, never that it was away, so
 * an outage of any length gives nothing up.
 * @param othersAnsweredMs epoch milliseconds at which the owner last decided about a mutation of the type, as
 * far as this process knows
 */
export function isHopeless(
  { failures, sinceMs }: Failing,
  othersAnsweredMs: number,
  giveUpAfterMs: number,
  nowMs: number,
): boolean {
  if (sinceMs === null || failures < FAILURES_BEFORE_GIVING_UP) return false;
  const patience = othersAnsweredMs > sinceMs ? 1 : PATIENCE_WITH_ALL;
  return nowMs - sinceMs >= patience * giveUpAfterMs;
}

/**
 * The end of a mutation that breaks its owner's push handler: refused, so that its lane goes on and what
 * depends on it is refused too, and kept in a ConflictRecord with which it can be carried out once its owner
 * is repaired.
 * @param work as it was sent, lifted if it was
 */
export function givenUp(work: Work, deviceId: string, nowIso: string): Settled {
  const { mutation, registration, head } = work;
  const never = `${registration.service} answers, but never about this mutation`;
  const refusal = { code: 'owner_failed', message: `${never}; it is kept in the ConflictRecord` };
  const held = heldConflict(work, deviceId, head && stateOfHead(head));
  return { ...refusedHere(refusal, mutation, head, registration, nowIso), ...held };
}
