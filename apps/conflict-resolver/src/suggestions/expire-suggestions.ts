import type { Tx } from '@sync/postgres';
import { isOvertaken, type VectorClock } from '@sync/vector-clock';
import type { Acceptance } from './suggestion-source.ts';
import { tellSuggestions } from './tell-suggestions.ts';

/**
 * The entity was seen at `clock`: suggestions for a state that it has left behind are stale. Those for a
 * later state stay, because whoever saw `clock` may look at a copy that lags. Those for lines of a document
 * stay too: a document moves with every keystroke, and whether the lines still stand there is seen by its
 * owner.
 * @returns whether there were any
 */
export async function expireSuggestions(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  { clock, nowIso }: Pick<Acceptance, 'clock' | 'nowIso'>,
): Promise<boolean> {
  const ready = await tx.query<{ readonly suggestionId: string; readonly clock: VectorClock }>(
    `SELECT suggestion_id AS "suggestionId", clock FROM conflict_suggestion
     WHERE tenant_id = $1 AND conflict_id = $2 AND status = 'ready'
       AND NOT EXISTS (SELECT FROM conflict_record r
         WHERE r.tenant_id = $1 AND r.conflict_id = $2 AND r.draft -> 'blocks' IS NOT NULL)
     ORDER BY suggestion_id FOR UPDATE`,
    [tenantId, conflictId],
  );
  const overtaken = ready.filter((suggestion) => isOvertaken(suggestion.clock, clock));
  const ids = overtaken.map(({ suggestionId }) => suggestionId);
  if (ids.length === 0) return false;
  await markStale(tx, tenantId, ids, nowIso);
  return true;
}

/** The owner has found that what a suggestion was made for is not there any more. */
export async function overtakeSuggestion(
  tx: Tx,
  tenantId: string,
  suggestionId: string,
  nowIso: string,
): Promise<void> {
  await markStale(tx, tenantId, [suggestionId], nowIso);
}

async function markStale(
  tx: Tx,
  tenantId: string,
  suggestionIds: readonly string[],
  nowIso: string,
): Promise<void> {
  const stale = await tx.query<{ readonly suggestionId: string }>(
    `UPDATE conflict_suggestion SET status = 'stale'
     WHERE tenant_id = $1 AND suggestion_id = ANY ($2::uuid[]) AND status = 'ready'
     RETURNING suggestion_id AS "suggestionId"`,
    [tenantId, suggestionIds],
  );
  const ids = stale.map(({ suggestionId }) => suggestionId);
  await tellSuggestions(tx, tenantId, ids, nowIso);
}
