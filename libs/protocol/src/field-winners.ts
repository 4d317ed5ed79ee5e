import {
  type ConflictDraft,
  deepEqualJson,
  type FieldConflict,
  type JsonObject,
  type JsonValue,
  readField,
} from '@sync/domain';
import type { ConflictDecision } from './conflict-record.ts';

/**
 * What became of the fields that a person had to choose in. The stored draft says `open` for ever, because
 * the record's content is fixed by the hash of its first entry; so this is worked out of the decision, which
 * is fixed by its own. Pure.
 * @param decision null: not resolved, everything stays as it is
 */
export function decidedFields(
  draft: ConflictDraft,
  decision: ConflictDecision | null,
): readonly FieldConflict[] {
  if (decision === null) return draft.fields;
  return draft.fields.map((field) =>
    field.winner === 'open' ? { ...field, winner: winnerOf(field, draft, decision) } : field,
  );
}

function winnerOf(
  field: FieldConflict,
  draft: ConflictDraft,
  { kind, op, data: decided = null }: ConflictDecision,
): FieldConflict['winner'] {
  // A document with blocks holds the merge since it was detected: what the server keeps is both.
  if (kind === 'keep_server') return draft.blocks === undefined ? 'ours' : 'merged';
  if (op === 'merge') return 'merged';
  if (kind === 'keep_client') return 'theirs';
  const data = decided as JsonObject | null;
  if (op === 'patch' && !Object.hasOwn(data ?? {}, field.field)) return 'ours';
  const [value, ours, theirs] =
    field.field === ''
      ? [data, draft.ours, draft.theirsLifted ?? draft.theirs]
      : [readField(data ?? {}, field.field), ...sidesOf(field, draft)];
  if (sameValue(value, ours)) return 'ours';
  return sameValue(value, theirs) ? 'theirs' : 'merged';
}

/** Drafts of large entities name their fields without the values. */
function sidesOf(
  field: FieldConflict,
  { ours, theirs, theirsLifted }: ConflictDraft,
): (JsonValue | undefined)[] {
  if ('ours' in field || 'theirs' in field) return [field.ours, field.theirs];
  return [ours, theirsLifted ?? theirs].map((side) => readField(side ?? {}, field.field));
}

function sameValue(value: JsonValue | undefined, side: JsonValue | undefined): boolean {
  if (value === undefined || side === undefined) return value === side;
  return deepEqualJson(value, side);
}
