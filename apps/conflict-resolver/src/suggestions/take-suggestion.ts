import type { Tx } from '@sync/postgres';
import type { SuggestedChanges } from './answer-format.ts';
import { hashClock, hashJson } from '../history/hashes.ts';
import type { AcceptedSuggestion, Acceptance, SuggestionSource } from './suggestion-source.ts';
import { expireSuggestions, overtakeSuggestion } from './expire-suggestions.ts';
import { listSuggestions } from './suggestion-store.ts';
import { tellSuggestions } from './tell-suggestions.ts';

interface Row {
  readonly status: string;
  readonly clock_hash: string;
  readonly output: SuggestedChanges;
  readonly output_hash: string;
  readonly decided_by: string | null;
  /** For lines of a document: their owner checks, when it writes, that they still stand there. */
  readonly of_lines: boolean;
}

/**
 * A person accepts a suggestion: the only way by which one is ever applied. Inside the transaction that
 * resolves the conflict, so that both are decided or neither.
 *
 * Taken again by the same person it answers the same, for a resolution that is repeated after a crash.
 */
async function takeSuggestion(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  suggestionId: string,
  acceptance: Acceptance,
): Promise<AcceptedSuggestion> {
  const row = await lockRow(tx, tenantId, conflictId, suggestionId);
  const taken = judge(row, acceptance);
  if (row?.status === 'ready' && taken.kind !== 'not_ready') {
    const accepted = taken.kind === 'taken';
    await tx.query(
      `UPDATE conflict_suggestion SET status = $3, decided_by = $4, decided_device = $5, decided_at = $6
       WHERE tenant_id = $1 AND suggestion_id = $2`,
      [
        tenantId,
        suggestionId,
        accepted ? 'accepted' : 'stale',
        accepted ? acceptance.decidedBy.userId : null,
        accepted ? acceptance.decidedBy.deviceId : null,
        accepted ? acceptance.nowIso : null,
      ],
    );
    await tellSuggestions(tx, tenantId, [suggestionId], acceptance.nowIso);
  }
  if (taken.kind === 'taken') await dismissOthers(tx, tenantId, conflictId, suggestionId, acceptance);
  return taken;
}

/** Of other states of the entity: nobody will accept them any more. */
async function dismissOthers(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  suggestionId: string,
  { decidedBy, nowIso }: Acceptance,
): Promise<void> {
  const rows = await tx.query<Dismissed>(
    `UPDATE conflict_suggestion SET status = 'dismissed', decided_by = $4, decided_device = $5,
      decided_at = $6
     WHERE tenant_id = $1 AND conflict_id = $2 AND suggestion_id <> $3 AND status IN ('ready', 'requested')
     RETURNING suggestion_id AS "suggestionId"`,
    [tenantId, conflictId, suggestionId, decidedBy.userId, decidedBy.deviceId, nowIso],
  );
  await tellDismissed(tx, tenantId, rows, nowIso);
}

/** What `takeSuggestion` would answer; decides nothing. */
async function previewSuggestion(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  suggestionId: string,
  acceptance: Acceptance,
): Promise<AcceptedSuggestion> {
  return judge(await lockRow(tx, tenantId, conflictId, suggestionId), acceptance);
}

/** The conflict was resolved in another way: what was ready or still waits is of no use any more. */
async function dismissSuggestions(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  { decidedBy, nowIso }: Pick<Acceptance, 'decidedBy' | 'nowIso'>,
): Promise<void> {
  const rows = await tx.query<Dismissed>(
    `UPDATE conflict_suggestion SET status = 'dismissed', decided_by = $3, decided_device = $4,
      decided_at = $5
     WHERE tenant_id = $1 AND conflict_id = $2 AND status IN ('ready', 'requested')
     RETURNING suggestion_id AS "suggestionId"`,
    [tenantId, conflictId, decidedBy.userId, decidedBy.deviceId, nowIso],
  );
  await tellDismissed(tx, tenantId, rows, nowIso);
}

interface Dismissed {
  readonly suggestionId: string;
}

async function tellDismissed(
  tx: Tx,
  tenantId: string,
  rows: readonly Dismissed[],
  nowIso: string,
): Promise<void> {
  const ids = rows.map(({ suggestionId }) => suggestionId);
  await tellSuggestions(tx, tenantId, ids, nowIso);
}

/** Suggestions of a language model, for those who resolve and show conflicts. */
export const modelSuggestions: SuggestionSource = {
  list: listSuggestions,
  preview: previewSuggestion,
  take: takeSuggestion,
  expire: expireSuggestions,
  overtake: overtakeSuggestion,
  dismiss: dismissSuggestions,
};

async function lockRow(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  suggestionId: string,
): Promise<Row | null> {
  const [row] = await tx.query<Row>(
    `SELECT status, clock_hash, output, output_hash, decided_by,
            EXISTS (SELECT FROM conflict_record r
                    WHERE r.tenant_id = $1 AND r.conflict_id = $3
                      AND r.draft -> 'blocks' IS NOT NULL) AS of_lines
     FROM conflict_suggestion WHERE tenant_id = $1 AND suggestion_id = $2 AND conflict_id = $3 FOR UPDATE`,
    [tenantId, suggestionId, conflictId],
  );
  return row ?? null;
}

function judge(row: Row | null, { clock, decidedBy }: Acceptance): AcceptedSuggestion {
  if (!row) return { kind: 'unknown' };
  const again = row.status === 'accepted' && row.decided_by === decidedBy.userId;
  if (row.status === 'stale') return { kind: 'stale' };
  if (row.status !== 'ready' && !again) return { kind: 'not_ready', status: row.status };
  if (!row.of_lines && row.clock_hash !== hashClock(clock))
    return again ? { kind: 'not_ready', status: row.status } : { kind: 'stale' };
  // What was shown is what is submitted, or nothing.
  const { set, remove } = row.output;
  if (hashJson({ set, remove }) !== row.output_hash) return { kind: 'not_ready', status: 'damaged' };
  return { kind: 'taken', changes: row.output };
}
