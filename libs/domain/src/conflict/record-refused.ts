import { EXISTENCE_FIELD } from '../entity.ts';
import type { EntityState, MutationInput } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { JsonObject } from '../json.ts';
import type { ConflictDraft, DecisionInput, FieldConflict } from './decision.ts';
import { draftRecord, fieldConflict, withoutDeleted } from './submission.ts';

/**
 * The record of a mutation that lost as a whole: the server's state stands, whatever it is, and the
 * mutation's values are kept.
 * @param current the server's present state as its device may see it; null: there is none, or the device may
 * not know
 */
export function recordRefused(
  input: Pick<DecisionInput, 'mutation' | 'policy'>,
  current: EntityState | null,
): ConflictDraft {
  const present = current && withoutDeleted(current);
  return draftRecord(input, present, 'auto', fieldsLost(input.mutation, present?.data ?? null));
}

/**
 * The fields that would have another value; of a deleted or invisible entity, or for a deletion, also the
 * entity itself.
 */
function fieldsLost({ op, data }: MutationInput, present: JsonObject | null): FieldConflict[] {
  const whole = present === null || op === 'delete' || op === 'merge';
  const entity: FieldConflict[] = whole ? [{ field: EXISTENCE_FIELD, winner: 'ours' }] : [];
  const differing = Object.entries(data ?? {})
    .map(([field, theirs]) => ({ field, ours: readField(present ?? {}, field), theirs }))
    .filter(({ ours, theirs }) => !deepEqualJson(ours, theirs));
  return [
    ...entity,
    ...differing.map(({ field, ours, theirs }) => fieldConflict(field, { ours, theirs, winner: 'ours' })),
  ];
}
