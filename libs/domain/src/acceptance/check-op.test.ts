import { describe, expect, it } from '@jest/globals';
import type { MutationOp } from '../entity.ts';
import type { ConflictPolicy } from '../conflict/policies.ts';
import { checkOp } from './check-op.ts';

const EXPECTED: Record<ConflictPolicy, Record<MutationOp, ReturnType<typeof checkOp>>> = {
  append_only: {
    append: null,
    put: 'append_only_violation',
    patch: 'append_only_violation',
    delete: 'append_only_violation',
    merge: 'append_only_violation',
  },
  crdt_yjs: { merge: null, put: null, patch: null, delete: null, append: 'op_not_allowed' },
  lww: { put: null, patch: null, delete: null, append: 'op_not_allowed', merge: 'op_not_allowed' },
  server_authoritative: {
    put: null,
    patch: null,
    delete: null,
    append: 'op_not_allowed',
    merge: 'op_not_allowed',
  },
};

const cases = (Object.keys(EXPECTED) as ConflictPolicy[]).flatMap((policy) =>
  (Object.keys(EXPECTED[policy]) as MutationOp[]).map((op) => ({ policy, op, code: EXPECTED[policy][op] })),
);

describe('checkOp', () => {
  it.each(cases)('$policy $op → $code', ({ policy, op, code }) => {
    expect(checkOp(policy, op)).toBe(code);
  });
});
