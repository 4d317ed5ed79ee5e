/**
 * Where the values of a history are at its end: standing, overwritten by who had seen them, or in a record.
 */
import type { ConflictDraft } from '../conflict/decision.ts';
import type { MutationInput } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { hadSeen } from './histories.ts';

/** What a history left behind. */
export interface HistoryEnd {
  readonly data: JsonObject | null;
  readonly records: readonly ConflictDraft[];
}

/** The values of `mutations` that are nowhere: must be empty, whatever the policy. */
export function lostValues(
  mutations: readonly MutationInput[],
  { data, records }: HistoryEnd,
): { readonly mutationId: string; readonly field: string; readonly value: JsonValue }[] {
  return mutations.flatMap((mutation) =>
    Object.entries(mutation.data ?? {})
      .filter(([field, value]) => {
        const stands = deepEqualJson(readField(data ?? {}, field), value);
        const overwritten = mutations.some((later) => hadSeen(later, mutation) && touches(later, field));
        const kept = records.some((record) => recordHolds(record, mutation, field, value));
        return !stands && !overwritten && !kept;
      })
      .map(([field, value]) => ({ mutationId: mutation.mutationId, field, value })),
  );
}

/** A put or delete writes every field, by value or by omission. */
function touches({ op, data }: MutationInput, field: string): boolean {
  return op !== 'patch' || readField(data ?? {}, field) !== undefined;
}

function recordHolds(
  record: ConflictDraft,
  mutation: MutationInput,
  field: string,
  value: JsonValue,
): boolean {
  const conflict = record.fields.find((candidate) => candidate.field === field);
  if (!conflict) return false;
  const own = record.mutationId === mutation.mutationId;
  const side = own ? conflict.theirs : conflict.ours;
  const data = own ? record.theirs : record.ours;
  return deepEqualJson(side, value) && deepEqualJson(readField(data ?? {}, field), value);
}
