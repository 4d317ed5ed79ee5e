import type { JsonObject } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import type { Suggestion } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';

/** Whose decision it is to accept or to pass over a suggestion, on which state of the entity. */
export interface Acceptance {
  /** The entity's present clock; a suggestion that was made for another state is stale. */
  readonly clock: VectorClock;
  readonly decidedBy: { readonly userId: string; readonly deviceId: string };
  readonly nowIso: string;
}

/** What accepting a suggestion comes to. `changes` apply to the entity's present data. */
export type AcceptedSuggestion =
  | {
      readonly kind: 'taken';
      readonly changes: { readonly set: JsonObject; readonly remove: readonly string[] };
    }
  | { readonly kind: 'stale' }
  | { readonly kind: 'not_ready'; readonly status: string }
  | { readonly kind: 'unknown' };

/**
 * Where suggestions come from, as resolving and showing a record need it. Everything happens inside the
 * caller's transaction.
 */
export interface SuggestionSource {
  /** By conflictId, newest first. */
  list(
    tx: Tx,
    tenantId: string,
    conflictIds: readonly string[],
  ): Promise<ReadonlyMap<string, readonly Suggestion[]>>;
  /** What `take` would answer, deciding nothing. */
  preview(
    tx: Tx,
    tenantId: string,
    conflictId: string,
    suggestionId: string,
    acceptance: Acceptance,
  ): Promise<AcceptedSuggestion>;
  /** Notes that a person accepted it. Repeated by the same person it answers the same. */
  take(
    tx: Tx,
    tenantId: string,
    conflictId: string,
    suggestionId: string,
    acceptance: Acceptance,
  ): Promise<AcceptedSuggestion>;
  /** The entity was seen at a later state. @returns whether a suggestion became stale by that */
  expire(
    tx: Tx,
    tenantId: string,
    conflictId: string,
    seen: Pick<Acceptance, 'clock' | 'nowIso'>,
  ): Promise<boolean>;
  /** What it was made for is not there any more. */
  overtake(tx: Tx, tenantId: string, suggestionId: string, nowIso: string): Promise<void>;
  /** The conflict was resolved in another way. */
  dismiss(
    tx: Tx,
    tenantId: string,
    conflictId: string,
    decision: Pick<Acceptance, 'decidedBy' | 'nowIso'>,
  ): Promise<void>;
}

/** No tenant has suggestions. */
export const noSuggestions: SuggestionSource = {
  list: () => Promise.resolve(new Map()),
  preview: () => Promise.resolve({ kind: 'unknown' }),
  take: () => Promise.resolve({ kind: 'unknown' }),
  expire: () => Promise.resolve(false),
  overtake: () => Promise.resolve(),
  dismiss: () => Promise.resolve(),
};
