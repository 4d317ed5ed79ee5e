import { type ConflictDraft, EXISTENCE_FIELD, type JsonObject, readField } from '@sync/domain';

/** Fields that a draft names when not all of their names have room. */
const MAX_FIELDS = 1_000;
/**
 * Of large entities that drafts show whole, in one round trip: of 100 conflicts about a note of 720 KB it is
 * the first few.
 */
const MAX_WHOLE_LENGTH = 4 * 1024 * 1024;
/** Up to here an entity is shown whole in any case. */
const SMALL_LENGTH = 16 * 1024;

/** Says whether there is room for a draft. */
type Fits = (draft: ConflictDraft) => boolean;

/**
 * Leaves out of a draft what can be spared until there is room for it, the most replaceable first: the values
 * by field stand in `ours` and `theirs` as well, and what nobody overwrote is the entity. What lost stays,
 * and what a person has to decide about.
 */
export function spareDraft(draft: ConflictDraft, fits: Fits): ConflictDraft {
  const named = draft.fields.map(({ field, winner }) => ({ field, winner }));
  const less: readonly Partial<ConflictDraft>[] = [
    { fields: named },
    { base: null, baseUnknown: [EXISTENCE_FIELD] },
    { fields: named.slice(0, MAX_FIELDS) },
    { ours: oursOf(draft, ['theirs', 'merged', 'open']) },
  ];
  let kept = draft;
  for (const change of less) {
    if (fits(kept)) return kept;
    kept = { ...kept, ...change };
  }
  return kept;
}

/**
 * Leaves out of a draft what would not fit a message, what lost last.
 *
 * A draft that fits no message cannot be told, and with it none of the outcomes that its device waits for;
 * one without the values that lost is no record of them.
 */
export function fitDraft(draft: ConflictDraft, fits: Fits): ConflictDraft {
  let kept = spareDraft(draft, fits);
  if (fits(kept)) return kept;
  kept = { ...kept, ours: oursOf(draft, ['theirs', 'merged']) };
  if (fits(kept)) return kept;
  // Nobody carries out what is decided, so nobody needs it in another version.
  const { theirsLifted: _lifted, ...unlifted } = kept;
  if (draft.decision === 'auto') kept = unlifted;
  return fits(kept) ? kept : { ...kept, ours: null };
}

type Winner = ConflictDraft['fields'][number]['winner'];

/** The values of the server in fields with such a winner. */
function oursOf({ ours, fields }: ConflictDraft, winners: readonly Winner[]): JsonObject | null {
  const chosen = fields.filter(({ winner }) => winners.includes(winner));
  if (ours === null || chosen.some(({ field }) => field === EXISTENCE_FIELD)) return ours;
  return Object.fromEntries(
    chosen.flatMap(({ field }) => {
      const value = readField(ours, field);
      return value === undefined ? [] : [[field, value]];
    }),
  );
}

/** What the drafts of one round trip may show together. */
export class DraftRoom {
  #left = MAX_WHOLE_LENGTH;

  /**
   * @returns the draft; of a large entity only what lost, or is to be decided, once others have shown as much
   * as there is room for
   */
  take(draft: ConflictDraft): ConflictDraft {
    const length = draft.ours === null ? 0 : lengthOf(draft.ours);
    if (length <= SMALL_LENGTH) return draft;
    this.#left -= length;
    return this.#left >= 0 ? draft : spareDraft(draft, () => false);
  }
}

/** Many drafts have their entity in common. */
const lengths = new WeakMap<object, number>();

function lengthOf(entity: JsonObject): number {
  const length = lengths.get(entity) ?? JSON.stringify(entity).length;
  lengths.set(entity, length);
  return length;
}
