import { readJson } from '@sync/domain';
import type { EntityState, FieldWrites, JsonObject } from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';

/**
 * An entity as the read model shows it in the scope of a mutation. `wire` is its RemoteDelta as devices get
 * it and `fieldWrites` JSON text; both stay unparsed until somebody needs them, which in a clean push nobody
 * does.
 */
export interface EntityHead {
  readonly revision: number;
  readonly deleted: boolean;
  readonly clock: VectorClock;
  readonly fieldWrites: string | null;
  readonly wire: string;
}

/**
 * What is known of an entity: as devices see it, and what the ledger knows beyond that; see read-known.sql.
 */
export interface KnownEntity {
  /** null when the scope does not have it, or it was not read. */
  readonly head: EntityHead | null;
  /** It was not read because others before it were too large. */
  readonly unread?: boolean;
  /** The newest change of which a device was told through this scope. */
  readonly told: {
    readonly revision: number;
    readonly clock: VectorClock;
    readonly deleted: boolean;
  } | null;
  /** Up to which of the asking device's own changes there are answers. */
  readonly counted: number;
  /** The asking device was restored from a backup, and may have forgotten what it had sent before. */
  readonly restored: boolean;
  /** The highest `sequence` of the asking device's changes, since it was restored; null: there are none. */
  readonly ownSequence: number | null;
}

/** The columns of the SQL functions that answer heads; all null when the scope does not have the entity. */
export interface HeadColumns {
  /** `int8` arrives as text. */
  readonly head_revision: string | null;
  readonly head_deleted: boolean | null;
  readonly head_clock: VectorClock | null;
  readonly head_writes: string | null;
  readonly head_wire: string | null;
}

export function headOf(row: HeadColumns): EntityHead | null {
  if (row.head_revision === null || row.head_wire === null) return null;
  return {
    revision: Number(row.head_revision),
    deleted: row.head_deleted ?? false,
    clock: row.head_clock ?? {},
    fieldWrites: row.head_writes,
    wire: row.head_wire,
  };
}

/**
 * The entity is in the scope, but was not read because others before it were too large; see `p_head_bytes` in
 * SQL.
 */
export function isUnread({ head_revision: revision, head_wire: wire }: HeadColumns): boolean {
  return revision !== null && wire === null;
}

/** Of heads that are still in use: many mutations of one entity share it. */
const states = new WeakMap<EntityHead, EntityState>();

/**
 * The head as decisions see it. The read model keeps no data of deleted entities: who wants `deletedData`
 * asks for it (ask-deleted.ts).
 */
export function stateOfHead(head: EntityHead): EntityState {
  const known = states.get(head) ?? readState(head);
  states.set(head, known);
  return known;
}

function readState(head: EntityHead): EntityState {
  const wire = readJson(head.wire) as RemoteDelta;
  return {
    revision: head.revision,
    clock: head.clock,
    data: head.deleted ? null : ((wire.data ?? {}) as JsonObject),
    deleted: head.deleted,
    deletedData: null,
    fieldWrites: head.fieldWrites === null ? {} : (readJson(head.fieldWrites) as FieldWrites),
  };
}

/** How an entity is shown that is not there, or that the user may not see: the same for both. */
export function absentText(
  { entityType, entityId }: { readonly entityType: string; readonly entityId: string },
  schemaVersion: number,
  nowIso: string,
): string {
  const absent: RemoteDelta = {
    entityType,
    entityId,
    op: 'delete',
    clock: {},
    schemaVersion,
    committedAt: nowIso,
    data: null,
  };
  return JSON.stringify(absent);
}
