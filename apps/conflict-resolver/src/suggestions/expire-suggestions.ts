import type { Tx } from '@sync/postgres';
import { compareClocks, type VectorClock } from '@sync/vector-clock';
import type { Acceptance } from './suggestion-source.ts';
import { tellSuggestions } from './tell-suggestions.ts';

/**
 * The entity was seen at `clock`: suggestions for a state that it has left behind are stale. Those for a later state stay, because whoever saw
 * `clock` may look at a copy that lags.
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
     WHERE tenant_id = $1 AND conflict_id = $2 AND status = 'ready' ORDER BY suggestion_id FOR UPDATE`,
    [tenantId, conflictId],
  );
  const overtaken = ready.filter((suggestion) => compareClocks(suggestion.clock, clock) === 'before');
  const ids = overtaken.map(({ suggestionId }) => suggestionId);
  if (ids.length === 0) return false;
  await tx.query(
    `UPDATE conflict_suggestion SET status = 'stale' WHERE tenant_id = $1 AND suggestion_id = ANY ($2::uuid[])`,
    [tenantId, ids],
  );
  await tellSuggestions(tx, tenantId, ids, nowIso);
  return true;
}
