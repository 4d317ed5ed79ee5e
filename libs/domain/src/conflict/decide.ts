import { FOLDED_REPLICA, containsDot, counterOf, deviceReplica, existingPart } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { checkOp } from '../acceptance/check-op.ts';
import { mutationCounter } from '../entity.ts';
import type { MutationInput } from '../entity.ts';
import { editWantsDeletedData } from './decide-lww.ts';
import type { Decision, DecisionInput, SubmitDecision } from './decision.ts';
import { POLICIES } from './policies.ts';
import { recordRefused } from './record-refused.ts';
import { submitAsSent } from './submission.ts';

/**
 * Decides what becomes of a mutation, by the policy of its entity type. Pure: the same input gives the same
 * decision, so that it may be taken again after a crash. Never throws for a valid `DecisionInput`.
 */
export function decide(input: DecisionInput): Decision {
  const { current } = input;
  const mutation = current === null ? input.mutation : believed(input.mutation, current.clock);
  return decideBelieved({ ...input, mutation });
}

/**
 * The mutation without what its device claims to have seen and cannot have: whoever claims more than there is
 * would otherwise be taken for one that had seen everything. The same object where there is no such claim.
 * @param clock the entity's
 */
export function believed<M extends Pick<MutationInput, 'baseClock' | 'deviceId'>>(
  mutation: M,
  clock: VectorClock,
): M {
  const baseClock = existingPart(mutation.baseClock, clock, deviceReplica(mutation.deviceId));
  return baseClock === mutation.baseClock ? mutation : { ...mutation, baseClock };
}

function decideBelieved(input: DecisionInput): Decision {
  const { mutation, current, policy } = input;
  const refusal = checkOp(policy, mutation.op);
  if (refusal !== null) return { kind: 'reject', code: refusal, record: null };
  if (mutationCounter(mutation) > Number.MAX_SAFE_INTEGER) {
    // Nothing is wrong with the mutation itself: what it wrote is kept where it had something to lose to.
    const record = current === null ? null : recordRefused(input, current);
    return { kind: 'reject', code: 'clock_limit_exceeded', record };
  }
  if (input.mayBeApplied && current !== null && mayHold(current.clock, mutation)) return lookUp(input);
  return POLICIES[policy].decide(input);
}

/**
 * Asks the owner without changing anything. Revision 0 is no entity's that exists: an inbox that knows the
 * mutation answers it again, any other says `conflict`, with the entity as it is. As sent, a change whose dot
 * another one has used would silently overwrite that.
 * @param input with a `current` of a revision above 0
 */
export function lookUp(input: DecisionInput): SubmitDecision {
  return { ...submitAsSent(input, 'applied'), expectedRevision: 0 };
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
  const { policy, current } = question;
  if (current === null || !POLICIES[policy].bringsBack) return false;
  return editWantsDeletedData({ ...question, mutation: believed(question.mutation, current.clock) });
}
