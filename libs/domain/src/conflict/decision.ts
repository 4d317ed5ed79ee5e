import type { VectorClock } from '@sync/vector-clock';
import type { EntityState, FieldWrites, MutationInput, MutationOp } from '../entity.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { ConflictPolicy } from './policies.ts';

/** `collisions`: a person decides when both sides wrote the same field; part of the SyncRegistration. */
export type ReviewMode = 'none' | 'collisions';

/** All that a decision may depend on. */
export interface DecisionInput {
  readonly mutation: MutationInput;
  /**
   * The server's present state; `null` when it has no such entity (a deleted one is a state with `deleted`).
   */
  readonly current: EntityState | null;
  readonly policy: ConflictPolicy;
  readonly review: ReviewMode;
  readonly serverNowMs: number;
  /**
   * Set when the mutation was submitted before and the owner's answer was lost. If `current` then contains
   * the mutation's dot, it is submitted again as sent and the owner's inbox answers; without it a
   * server_authoritative mutation would be rejected as concurrent with itself. Leave it out once the owner
   * has answered `conflict`.
   */
  readonly mayBeApplied?: boolean;
}

/**
 * One field that both sides wrote. A side that has no value there (removed, deleted, or a Yjs document whose
 * text is not data) has no property; field `''` is the whole entity. `open` means that a person has to
 * choose, `merged` that a document holds both.
 */
export interface FieldConflict {
  readonly field: string;
  /** The server's value. */
  readonly ours?: JsonValue;
  /** The mutation's value. */
  readonly theirs?: JsonValue;
  readonly winner: 'ours' | 'theirs' | 'open' | 'merged';
}

/**
 * A block of a document that both sides changed; the texts of both sides and of the base are in the record
 * under its name.
 */
export interface DocumentBlock {
  readonly name: string;
  /** Shared types from the root down. */
  readonly path: string;
  /** Line of a text in the base, counted from 1; null for anything else. */
  readonly line: number | null;
  readonly key: string | null;
  readonly kind: string;
  readonly grade: 'minor' | 'severe';
  /** What the merge made of it, an excerpt; null where nothing is left. */
  readonly merged: string | null;
}

/**
 * A ConflictRecord before it is stored: everything but its id, tenant and times. Holds every value that lost.
 */
export interface ConflictDraft {
  readonly policy: ConflictPolicy;
  readonly entityType: string;
  readonly entityId: string;
  readonly mutationId: string;
  /**
   * The mutation's op, without which nobody could carry it out later. Added by the gateway, which has the
   * mutation; decisions leave it out.
   */
  readonly op?: MutationOp;
  /**
   * What both sides started from, as far as it is known (`knownBase`); `null` when there was nothing, or
   * nothing is known.
   */
  readonly base: JsonObject | null;
  /**
   * Fields that may have had a value in the base which nobody knows any more; `''`: the whole entity. Missing
   * in drafts from before it was told.
   */
  readonly baseUnknown?: readonly string[];
  /** The server's data when the conflict was detected; `null` when the entity was deleted. */
  readonly ours: JsonObject | null;
  /** The mutation's data as sent; `null` for a delete. */
  readonly theirs: JsonObject | null;
  /**
   * `theirs` under the registered schemaVersion, where the device wrote under an older one: what was decided
   * on.
   */
  readonly theirsLifted?: JsonObject;
  /** The mutation's Yjs update as sent, base64. */
  readonly theirsUpdate: string | null;
  readonly fields: readonly FieldConflict[];
  /** Of a merge of documents; missing in records from before it was told. */
  readonly blocks?: readonly DocumentBlock[];
  readonly decision: 'auto' | 'open';
  readonly clockOurs: VectorClock;
  readonly clockTheirs: VectorClock;
}

/**
 * Codes of a rejected mutation. `clock_limit_exceeded`: the device's counter is used up.
 */
export type RejectCode =
  'server_changed' | 'append_only_violation' | 'op_not_allowed' | 'clock_limit_exceeded';

/** Send this to the owning service. */
export interface SubmitDecision {
  readonly kind: 'submit';
  readonly op: MutationOp;
  readonly data: JsonObject | null;
  readonly update: string | null;
  /** The entity's clock after the change: its present clock with the mutation's dot. */
  readonly clock: VectorClock;
  /** What the owner compares and sets; 0 for an entity that does not exist. */
  readonly expectedRevision: number;
  /** `applied`: clean, as sent. `merged`: the entity had moved on; the device needs `current`. */
  readonly status: 'applied' | 'merged';
  readonly record: ConflictDraft | null;
  /** The entries of `FieldWrites` that this submission changes, for `recordFieldWrites`' `decided`. */
  readonly fieldWrites: FieldWrites;
}

/** What to do with a mutation. */
export type Decision =
  | SubmitDecision
  /** Every field lost to a later write: nothing to submit. */
  | { readonly kind: 'supersede'; readonly record: ConflictDraft }
  | { readonly kind: 'reject'; readonly code: RejectCode; readonly record: ConflictDraft | null }
  /** A person must decide (`review: 'collisions'`); nothing is submitted, the server's value stands. */
  | { readonly kind: 'hold'; readonly record: ConflictDraft };
