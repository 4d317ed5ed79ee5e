import { FOLDED_REPLICA, containsDot, counterOf, deviceReplica } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { checkOp } from '../acceptance/check-op.ts';
import { mutationCounter } from '../entity.ts';
import type { ConflictPolicy, MutationInput } from '../entity.ts';
import { decideAppendOnly } from './decide-append-only.ts';
import { decideCrdtYjs } from './decide-crdt-yjs.ts';
import { decideLww } from './decide-lww.ts';
import { decideServerAuthoritative } from './decide-server-authoritative.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { recordRefused } from './record-refused.ts';
import { submitAsSent } from './submission.ts';

// Total in its types: a new policy does not compile until somebody decides for it.
const DECIDE: Readonly<Record<ConflictPolicy, (input: DecisionInput) => Decision>> = {
  append_only: decideAppendOnly,
  crdt_yjs: decideCrdtYjs,
  lww: decideLww,
  server_authoritative: decideServerAuthoritative,
};

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
  return DECIDE[policy](input);
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
