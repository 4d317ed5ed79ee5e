import type { JsonObject } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import { appendHistory } from '../history/history-store.ts';

/** What happened to a suggestion, for the history of its conflict. */
export interface SuggestionNote {
  readonly conflictId: string;
  readonly suggestionId: string;
  readonly what: 'suggestion_requested' | 'suggestion_ready' | 'suggestion_failed';
  readonly requestedBy: string;
  readonly requestedDevice: string;
  readonly atIso: string;
  /** Hashes of what went out and came back: with them in the chain, the stored suggestion is evidence too. */
  readonly facts: JsonObject;
}

/**
 * Appends to the conflict's hash-chained history, under the person who asked. Locks are taken in this order:
 * the record's row, the history, budget and suggestion, `announce`; resolving a conflict takes them in the
 * same.
 */
export async function noteSuggestion(tx: Tx, tenantId: string, note: SuggestionNote): Promise<void> {
  const { conflictId, suggestionId, what, requestedBy, requestedDevice, atIso, facts } = note;
  const who = { kind: 'person', userId: requestedBy, deviceId: requestedDevice } as const;
  await appendHistory(tx, tenantId, [
    { conflictId, at: atIso, what, who, facts: { suggestionId, ...facts } },
  ]);
}
