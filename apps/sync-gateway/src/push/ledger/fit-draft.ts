import { type ConflictDraft, EXISTENCE_FIELD, type JsonObject, readField } from '@sync/domain';

/** Fields that a draft names when not all of their names have room. */
const MAX_FIELDS = 1_000;

/**
 * Leaves out of a draft what would not fit, the most replaceable first, and what lost last: the values by field stand in `ours` and `theirs`
 * as well, what won is the entity.
 *
 * A draft that fits no message cannot be told, and with it none of the outcomes that its device waits for; one without the values that lost is
 * no record of them.
 * @param fits whether there is room for it
 */
export function fitDraft(draft: ConflictDraft, fits: (draft: ConflictDraft) => boolean): ConflictDraft {
  const named = draft.fields.map(({ field, winner }) => ({ field, winner }));
  const less: readonly Partial<ConflictDraft>[] = [
    { fields: named },
    { base: null, baseUnknown: [EXISTENCE_FIELD] },
    { fields: named.slice(0, MAX_FIELDS) },
    { ours: oursLost(draft) },
  ];
  let kept = draft;
  for (const change of less) {
    if (fits(kept)) return kept;
    kept = { ...kept, ...change };
  }
  if (fits(kept)) return kept;
  // Nobody carries out what is decided, so nobody needs it in another version.
  const { theirsLifted: _lifted, ...unlifted } = kept;
  if (draft.decision === 'auto') kept = unlifted;
  return fits(kept) ? kept : { ...kept, ours: null };
}

/** The values of the server that do not stand any more. */
function oursLost({ ours, fields }: ConflictDraft): JsonObject | null {
  const lost = fields.filter(({ winner }) => winner === 'theirs' || winner === 'merged');
  if (ours === null || lost.some(({ field }) => field === EXISTENCE_FIELD)) return ours;
  return Object.fromEntries(
    lost.flatMap(({ field }) => {
      const value = readField(ours, field);
      return value === undefined ? [] : [[field, value]];
    }),
  );
}
