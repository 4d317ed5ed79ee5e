import { FOLDED_REPLICA, containsDot, counterOf, deviceReplica } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { checkOp } from '../acceptance/check-op.ts';
import { mutationCounter } from '../entity.ts';
import type { MutationInput } from '../entity.ts';
import { editWantsDeletedData } from './decide-lww.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { POLICIES } from './policies.ts';
import { recordRefused } from './record-refused.ts';
import { submitAsSent } from './submission.ts';

/**
 * Decides what becomes of a mutation, by the policy of its entity type. Pure: the same input gives the same
 * decision, so that it may be taken again after a crash. Never throws for a valid `DecisionInput`.
 */
export function decide(input: DecisionInput): Decision {
  const { mutation, current, policy } = input;
  const refusal = checkOp(policy, mutation.op);
  if (refusal !== null) return { kind: 'reject', code: refusal, record: null };
  if (mutationCounter(mutation) > Number.MAX_SAFE_INTEGER) {
    // Nothing is wrong with the mutation itself: what it wrote is kept where it had something to lose to.
    const record = current === null ? null : recordRefused(input, current);
    return { kind: 'reject', code: 'clock_limit_exceeded', record };
  }
  if (input.mayBeApplied && current !== null && mayHold(current.clock, mutation)) {
    // Revision 0 is no entity's that exists: only an inbox that knows the mutation answers this. One that
    // does not is met by a dot that another change has used, and says `conflict`; as sent it would silently
    // overwrite that change.
    return { ...submitAsSent(input, 'applied'), expectedRevision: 0 };
  }
  return POLICIES[policy].decide(input);
}

/**
 * Whether an entity with this clock may have the mutation: it has its dot, or devices were folded away that
 * its device had not heard of.
 */
export function mayHold(
  clock: VectorClock,
  mutation: Pick<MutationInput, 'baseClock' | 'deviceId' | 'counter'>,
): boolean {
  const folds = counterOf(clock, FOLDED_REPLICA);
  if (folds > counterOf(mutation.baseClock, FOLDED_REPLICA)) return true;
  return containsDot(clock, deviceReplica(mutation.deviceId), mutationCounter(mutation));
}

/**
 * Whether the decision wants `EntityState.deletedData`: the mutation brings a deleted entity back, as far as
 * it is known what that was. Whoever keeps the data apart from the rest of the state need not look for it
 * otherwise.
 */
export function wantsDeletedData(
  question: Pick<DecisionInput, 'mutation' | 'current' | 'policy' | 'review'>,
): boolean {
  return POLICIES[question.policy].bringsBack && editWantsDeletedData(question);
}
