import { type ConflictDraft, type JsonObject, type JsonValue, readField, shorten } from '@sync/domain';
import {
  type ConflictHistoryEntry,
  type ConflictRecord,
  decidedFields,
  isNestedDeeper,
  MESSAGE_DEPTH,
  type Suggestion,
} from '@sync/protocol';
import type { ConflictRow } from './conflict-store.ts';

/**
 * The most bytes of a record as JSON text: as an entity it has to fit the owner-sdk's bound (720 KiB), and a
 * reply of NATS with room for its envelope.
 */
export const MAX_RECORD_BYTES = 640 * 1024;
/** In a list of events, each with the record as its `data`. */
const MAX_RECORD_DEPTH = MESSAGE_DEPTH - 2;

/** A record as devices and reviewers see it. */
export function viewOf(
  row: ConflictRow,
  history: readonly ConflictHistoryEntry[],
  suggestions: readonly Suggestion[],
): ConflictRecord {
  const { draft } = row;
  return bounded({
    conflictId: row.conflictId,
    status: row.status,
    policy: row.policy,
    userId: row.userId,
    deviceId: row.deviceId,
    mutationId: row.mutationId,
    scope: row.scope,
    entityType: row.entityType,
    entityId: row.entityId,
    ...(draft.op === undefined ? {} : { op: draft.op }),
    base: draft.base,
    baseUnknown: [...baseUnknownOf(draft)],
    ours: draft.ours,
    theirs: draft.theirs,
    ...(draft.theirsLifted === undefined ? {} : { theirsLifted: draft.theirsLifted }),
    theirsUpdate: draft.theirsUpdate,
    clocks: { ours: { ...draft.clockOurs }, theirs: { ...draft.clockTheirs } },
    fields: decidedFields(draft, row.decision).map((field) => ({
      ...field,
      ...baseOf(draft.base, field.field),
    })),
    blocks: [...(draft.blocks ?? [])],
    decision: row.decision,
    decider: row.decider,
    detectedAt: row.detectedAt,
    resolvedAt: row.resolvedAt,
    history: [...history],
    suggestions: [...suggestions],
  });
}

/** Drafts from before it was told had no base at all. */
function baseUnknownOf({ base, baseUnknown }: ConflictDraft): readonly string[] {
  return baseUnknown ?? (base === null ? [''] : []);
}

function baseOf(base: JsonObject | null, field: string): { readonly base?: JsonValue } {
  const value = base === null ? undefined : readField(base, field);
  return value === undefined ? {} : { base: value };
}

/**
 * Leaves out copies until the record fits, the most replaceable first: what was decided is the entity's own
 * history by now, the server's value still is the entity or its past, field values stand in `theirs` and
 * `ours`. What the mutation wrote is never left out: it is what would be lost.
 */
function bounded(record: ConflictRecord): ConflictRecord {
  const omitted: string[] = [];
  let kept = record;
  for (const [name, without] of LESS) {
    if (fits(JSON.stringify(kept))) break;
    kept = without(kept);
    omitted.push(name);
  }
  return omitted.length === 0 ? kept : { ...kept, omitted };
}

/** What an owner nests deeper than any device may send is left out as well: of the server's side only. */
function fits(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_RECORD_BYTES && !isNestedDeeper(text, MAX_RECORD_DEPTH);
}

const LESS: readonly (readonly [string, (record: ConflictRecord) => ConflictRecord])[] = [
  [
    'decision',
    (record) => {
      if (!record.decision) return record;
      const { data: _data, update: _update, ...decision } = record.decision;
      return { ...record, decision };
    },
  ],
  [
    'fields',
    (record) => ({
      ...record,
      fields: record.fields
        .slice(0, 1_000)
        .map(({ field, winner }) => ({ field: shorten(field, 200), winner })),
    }),
  ],
  ['blocks', (record) => ({ ...record, blocks: [] })],
  ['base', (record) => ({ ...record, base: null, baseUnknown: [''] })],
  ['ours', (record) => ({ ...record, ours: null })],
  ['suggestions', (record) => ({ ...record, suggestions: [] })],
  ['history', (record) => ({ ...record, history: record.history.slice(-10) })],
];
