import type { ConflictDecision, ConflictRecord } from './conflict-record.ts';

/** Named as the resolver names what it leaves out of a record that is too large. */
const OMITTED = ['decision', 'fields', 'blocks', 'base', 'ours', 'suggestions'];

/**
 * A ConflictRecord without what it shows of the server: for a user from whom the entity's scope was taken.
 * What the user wrote stays. The same in SQL, for records that are pulled: grants/shown-wire.sql.
 */
export function withoutServerSide(record: ConflictRecord): ConflictRecord {
  return {
    ...record,
    base: null,
    baseUnknown: [''],
    ours: null,
    fields: record.fields.map(({ field, winner }) => ({ field, winner })),
    blocks: [],
    decision: record.decision && withoutContent(record.decision),
    suggestions: [],
    omitted: [...OMITTED],
  };
}

function withoutContent({ data: _data, update: _update, ...decision }: ConflictDecision): ConflictDecision {
  return decision;
}
