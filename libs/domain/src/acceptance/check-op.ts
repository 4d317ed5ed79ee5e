import type { MutationOp } from '../entity.ts';
import { POLICIES } from '../conflict/policies.ts';
import type { ConflictPolicy } from '../conflict/policies.ts';

/**
 * Why a policy refuses an op. `append_only_violation` is the one the protocol names for append_only types.
 */
export type OpRefusal = 'append_only_violation' | 'op_not_allowed';

/** `null` when the policy accepts the op, else the code of the rejected outcome. */
export function checkOp(policy: ConflictPolicy, op: MutationOp): OpRefusal | null {
  const { ops, isWrittenOnce } = POLICIES[policy];
  if (ops.includes(op)) return null;
  return isWrittenOnce ? 'append_only_violation' : 'op_not_allowed';
}
