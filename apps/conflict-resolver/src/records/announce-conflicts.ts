import type { Owner } from '@sync/owner-sdk';
import type { Tx } from '@sync/postgres';
import { CONFLICT_ENTITY_TYPE, type ConflictRecord } from '@sync/protocol';
import { loadHistories } from '../history/history-store.ts';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';
import { loadRows } from './conflict-store.ts';
import { viewOf } from './record-view.ts';

/** Entries of a record's history that its copy carries; the admin API pages through all of them. */
const HISTORY_SHOWN = 100;

/** Records with history and suggestions, by id: what a pull, a snapshot and the API show. */
export async function loadConflicts(
  tx: Tx,
  suggestions: SuggestionSource,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<Map<string, ConflictRecord>> {
  const rows = await loadRows(tx, tenantId, conflictIds);
  const ids = rows.map(({ conflictId }) => conflictId);
  if (ids.length === 0) return new Map();
  const histories = await loadHistories(tx, tenantId, ids, HISTORY_SHOWN);
  const suggested = await suggestions.list(tx, tenantId, ids);
  return new Map(
    rows.map((row) => {
      const { conflictId } = row;
      return [conflictId, viewOf(row, histories.get(conflictId) ?? [], suggested.get(conflictId) ?? [])];
    }),
  );
}

/**
 * Publishes records as they are now, as entities of their users; in the transaction that changed them, as its
 * last step.
 * @returns the records as published, by id
 */
export async function announceConflicts(
  tx: Tx,
  owner: Pick<Owner, 'announce'>,
  suggestions: SuggestionSource,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<Map<string, ConflictRecord>> {
  const records = await loadConflicts(tx, suggestions, tenantId, conflictIds);
  const changes = [...records].map(([entityId, record]) => {
    return { entityType: CONFLICT_ENTITY_TYPE, entityId, data: { ...record } };
  });
  if (changes.length > 0) await owner.announce(tx, tenantId, changes);
  return records;
}
