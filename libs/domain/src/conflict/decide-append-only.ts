import type { EntityState, MutationInput } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { recordRefused } from './record-refused.ts';
import { submitAsSent } from './submission.ts';

/**
 * Every append is its own entity, idempotent by its id, so appends never conflict. (Other ops do not get
 * here: `decide` asks `checkOp` first.)
 *
 * An append whose entity exists is submitted again (`expectedRevision` 0; the owner's inbox deduplicates)
 * when it is the same one: every field it names has the value it names (the owner may have added some). That
 * the entity's clock contains its dot says nothing: a device that was restored, or made the id itself, counts
 * from 1 again. A different record under a taken id is a violation and is kept in the record: other engines
 * lose learning records at this point.
 */
export function decideAppendOnly(input: DecisionInput): Decision {
  const { mutation, current } = input;
  if (current === null || isSameAppend(mutation, current)) {
    return { ...submitAsSent(input, 'applied'), expectedRevision: 0 };
  }
  return { kind: 'reject', code: 'append_only_violation', record: recordRefused(input, current) };
}

function isSameAppend(mutation: MutationInput, current: EntityState): boolean {
  if (current.data === null) return false;
  const present = current.data;
  return Object.entries(mutation.data ?? {}).every(([field, value]) => {
    return deepEqualJson(readField(present, field), value);
  });
}
