import { type JsonObject, type JsonValue, deepEqualJson, readField } from '@sync/domain';
import type { ContestedField } from './contested-field.ts';
import { contestedLines, type DocumentDraft } from './document-material.ts';

/** The part of a ConflictRecord's draft that a suggestion is made from. */
export interface ContestedDraft extends DocumentDraft {
  readonly base: JsonObject | null;
  readonly theirs: JsonObject | null;
  readonly fields: readonly { readonly field: string; readonly theirs?: JsonValue }[];
}

/**
 * The conflicting fields with the server's value as it is now, which may be newer than the one in the record.
 * Nothing else of the entity is material: what is not in conflict needs no suggestion and has no reason to
 * leave.
 *
 * @param present the entity's data now; `null` when it is deleted
 * @returns empty when the conflict has no field to fill: one side deleted the entity, or the sides agree by
 * now
 */
export function contestedFields(draft: ContestedDraft, present: JsonObject | null): ContestedField[] {
  if (present === null) return [];
  if (draft.blocks !== undefined) return contestedLines(draft);
  return draft.fields.flatMap(({ field, theirs }) => {
    // '' is the entity as a whole: deleted against edited, or a document whose text is not data. There is
    // nothing to merge in it.
    if (field === '') return [];
    const ours = readField(present, field);
    if (deepEqualJson(ours, theirs)) return [];
    const base = draft.base === null ? undefined : readField(draft.base, field);
    return [
      {
        field,
        ...(base === undefined ? {} : { base }),
        ...(ours === undefined ? {} : { ours }),
        ...(theirs === undefined ? {} : { theirs }),
      },
    ];
  });
}

/** One side of the material as an object, for its hash. */
export function sideOf(fields: readonly ContestedField[], side: 'base' | 'ours' | 'theirs'): JsonObject {
  return Object.fromEntries(
    fields.flatMap((contested) => {
      const value = contested[side];
      return value === undefined ? [] : [[contested.field, value] as const];
    }),
  );
}
