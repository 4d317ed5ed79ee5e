import type { ConflictPolicy, MutationOp } from '../entity.ts';

/**
 * Why a policy refuses an op. `append_only_violation` is the one the protocol names for append_only types.
 */
export type OpRefusal = 'append_only_violation' | 'op_not_allowed';

// Total in its types: a new policy does not compile until it says what it accepts.
const ALLOWED_OPS: Readonly<Record<ConflictPolicy, readonly MutationOp[]>> = {
  append_only: ['append'],
  // put, patch and delete touch the plain fields beside the document; only merge touches the document.
  crdt_yjs: ['merge', 'put', 'patch', 'delete'],
  lww: ['put', 'patch', 'delete'],
  server_authoritative: ['put', 'patch', 'delete'],
};

/** The ops that a device may send for entities of this policy. */
export function allowedOps(policy: ConflictPolicy): readonly MutationOp[] {
  return ALLOWED_OPS[policy];
}

/** `null` when the policy accepts the op, else the code of the rejected outcome. */
export function checkOp(policy: ConflictPolicy, op: MutationOp): OpRefusal | null {
  if (ALLOWED_OPS[policy].includes(op)) return null;
  return policy === 'append_only' ? 'append_only_violation' : 'op_not_allowed';
}
