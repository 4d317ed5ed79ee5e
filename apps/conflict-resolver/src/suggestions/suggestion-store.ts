import type { JsonObject } from '@sync/domain';
import type { Tx } from '@sync/postgres';
import type { Suggestion } from '@sync/protocol';
import type { VectorClock } from '@sync/vector-clock';
import type { ReadAnswer } from './answer-format.ts';
import type { AIAnswer, TokenUsage } from './ai-client.ts';
import type { Reservation } from './budget.ts';
import type { ContestedDraft } from './conflict-material.ts';
import type { ContestedField } from './contested-field.ts';

/** What a suggestion is made from: the record as its user may see it. */
export interface ContestedRecord {
  readonly status: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly scope: string;
  readonly draft: ContestedDraft;
}

/** @returns null for a record that does not exist or belongs to another user of the tenant */
export async function readContestedRecord(
  tx: Tx,
  tenantId: string,
  userId: string,
  conflictId: string,
): Promise<ContestedRecord | null> {
  const [row] = await tx.query<ContestedRecord>(
    `SELECT status, entity_type AS "entityType", entity_id AS "entityId", scope, draft
     FROM conflict_record WHERE tenant_id = $1 AND conflict_id = $2 AND user_id = $3
     -- Whoever resolves it at the same moment comes before or after.
     FOR SHARE`,
    [tenantId, conflictId, userId],
  );
  return row ?? null;
}

/** A suggestion as it is asked for. */
export interface NewSuggestion {
  readonly suggestionId: string;
  readonly conflictId: string;
  readonly status: 'requested' | 'failed';
  readonly code: string | null;
  readonly entityType: string;
  readonly clock: VectorClock;
  readonly clockHash: string;
  readonly material: readonly ContestedField[];
  readonly redacted: readonly string[];
  readonly requestedBy: string;
  readonly requestedDevice: string;
  readonly requestedAt: string;
  readonly promptHash: string;
  readonly parameters: JsonObject;
  readonly baseHash: string;
  readonly oursHash: string;
  readonly theirsHash: string;
  readonly reservation: Reservation;
}

/** @returns false when there is one already that waits or is ready, for the same state of the conflict */
export async function insertSuggestion(tx: Tx, tenantId: string, added: NewSuggestion): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO conflict_suggestion (tenant_id, suggestion_id, conflict_id, status, code, entity_type,
      clock, clock_hash,
       material, redacted, requested_by, requested_device, requested_at, prompt_hash, parameters, base_hash, ours_hash,
       theirs_hash, budget_day, tokens_reserved, cost_reserved_micros, finished_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
       CASE WHEN $4 = 'failed' THEN $13::timestamptz END)
     ON CONFLICT DO NOTHING RETURNING 1`,
    [
      tenantId,
      added.suggestionId,
      added.conflictId,
      added.status,
      added.code,
      added.entityType,
      JSON.stringify(added.clock),
      added.clockHash,
      JSON.stringify(added.material),
      added.redacted,
      added.requestedBy,
      added.requestedDevice,
      added.requestedAt,
      added.promptHash,
      JSON.stringify(added.parameters),
      added.baseHash,
      added.oursHash,
      added.theirsHash,
      added.reservation.day,
      added.reservation.tokens,
      added.reservation.costMicros,
    ],
  );
  return rows.length > 0;
}

/** The one that waits or is ready for this state of the conflict, and how many were asked for on that day. */
export async function readStanding(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  clockHash: string,
  day: string,
): Promise<{ readonly alive: { suggestionId: string; status: string } | null; readonly askedToday: number }> {
  const rows = await tx.query<{ suggestionId: string; status: string; alive: boolean; today: boolean }>(
    `SELECT suggestion_id AS "suggestionId", status, budget_day = $4::date AS today,
            clock_hash = $3 AND status IN ('requested', 'ready') AS alive
     FROM conflict_suggestion WHERE tenant_id = $1 AND conflict_id = $2
     ORDER BY requested_at DESC, suggestion_id DESC LIMIT 50`,
    [tenantId, conflictId, clockHash, day],
  );
  const alive = rows.find((row) => row.alive);
  return {
    alive: alive ? { suggestionId: alive.suggestionId, status: alive.status } : null,
    askedToday: rows.filter(({ today }) => today).length,
  };
}

/** What a worker needs to ask the question. */
export interface WaitingSuggestion {
  readonly conflictId: string;
  readonly requestedBy: string;
  readonly requestedDevice: string;
  readonly entityType: string;
  readonly material: readonly ContestedField[];
  readonly parameters: JsonObject;
  readonly reservation: Reservation;
}

/** @returns null when it waits no longer */
export async function readWaiting(
  tx: Tx,
  tenantId: string,
  suggestionId: string,
): Promise<WaitingSuggestion | null> {
  const [row] = await tx.query<
    Omit<WaitingSuggestion, 'reservation'> & { day: string; tokens: string; cost: string }
  >(
    `SELECT conflict_id AS "conflictId", requested_by AS "requestedBy", requested_device AS "requestedDevice",
            entity_type AS "entityType", material, parameters,
            to_char(budget_day, 'YYYY-MM-DD') AS day, tokens_reserved AS tokens, cost_reserved_micros AS cost
     FROM conflict_suggestion WHERE tenant_id = $1 AND suggestion_id = $2 AND status = 'requested'`,
    [tenantId, suggestionId],
  );
  if (!row) return null;
  const { day, tokens, cost, ...rest } = row;
  return { ...rest, reservation: { day, tokens: Number(tokens), costMicros: Number(cost) } };
}

/**
 * Keeps the conflict from being resolved until the transaction ends; the first lock of everything that
 * changes a suggestion.
 */
export async function holdRecord(tx: Tx, tenantId: string, conflictId: string): Promise<void> {
  await tx.query('SELECT 1 FROM conflict_record WHERE tenant_id = $1 AND conflict_id = $2 FOR SHARE', [
    tenantId,
    conflictId,
  ]);
}

/** A further attempt reserves again, maybe on another day. */
export async function noteReservation(
  tx: Tx,
  tenantId: string,
  suggestionId: string,
  { day, tokens, costMicros }: Reservation,
): Promise<void> {
  await tx.query(
    `UPDATE conflict_suggestion SET budget_day = $3, tokens_reserved = $4, cost_reserved_micros = $5
     WHERE tenant_id = $1 AND suggestion_id = $2`,
    [tenantId, suggestionId, day, tokens, costMicros],
  );
}

export async function storeReady(
  tx: Tx,
  tenantId: string,
  suggestionId: string,
  made: {
    readonly answer: AIAnswer;
    readonly read: ReadAnswer;
    readonly outputHash: string;
    readonly promptHash: string;
    readonly atIso: string;
  },
): Promise<void> {
  const { answer, read, outputHash, promptHash, atIso } = made;
  await tx.query(
    `UPDATE conflict_suggestion SET status = 'ready', model = $3, model_version = $4, output = $5,
      output_hash = $6,
            confidence = $7, rationale = $8, prompt_tokens = $9, output_tokens = $10, prompt_hash = $11, finished_at = $12
     WHERE tenant_id = $1 AND suggestion_id = $2 AND status = 'requested'`,
    [
      tenantId,
      suggestionId,
      answer.model,
      answer.version,
      JSON.stringify(read.changes),
      outputHash,
      read.confidence,
      read.rationale,
      answer.usage?.promptTokens ?? null,
      answer.usage?.outputTokens ?? null,
      promptHash,
      atIso,
    ],
  );
}

export async function storeFailed(
  tx: Tx,
  tenantId: string,
  suggestionId: string,
  failure: {
    readonly code: string;
    readonly model: string | null;
    readonly usage: TokenUsage | null;
    readonly atIso: string;
  },
): Promise<void> {
  await tx.query(
    `UPDATE conflict_suggestion SET status = 'failed', code = $3, model = $4, prompt_tokens = $5,
      output_tokens = $6,
            finished_at = $7
     WHERE tenant_id = $1 AND suggestion_id = $2 AND status = 'requested'`,
    [
      tenantId,
      suggestionId,
      failure.code,
      failure.model,
      failure.usage?.promptTokens ?? null,
      failure.usage?.outputTokens ?? null,
      failure.atIso,
    ],
  );
}

/** As many of one conflict as its record shows; older ones stay stored. */
export const SUGGESTIONS_SHOWN = 5;

const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
/** The wire's Suggestion without its changes. Optional members are left out rather than null. */
const SUGGESTION_JSON = `jsonb_strip_nulls(jsonb_build_object(
    'suggestionId', s.suggestion_id, 'status', s.status, 'code', s.code,
    'clockHash', s.clock_hash, 'redactedFields', to_jsonb(s.redacted),
    'confidence', s.confidence, 'rationale', s.rationale,
    'requestedBy', s.requested_by, 'requestedAt', to_char(s.requested_at AT TIME ZONE 'UTC', ${TIME}),
    'finishedAt', to_char(s.finished_at AT TIME ZONE 'UTC', ${TIME}),
    'decidedBy', s.decided_by, 'decidedAt', to_char(s.decided_at AT TIME ZONE 'UTC', ${TIME}),
    'provenance', jsonb_build_object(
      'model', s.model, 'modelVersion', s.model_version, 'promptHash', s.prompt_hash, 'baseHash', s.base_hash,
      'oursHash', s.ours_hash, 'theirsHash', s.theirs_hash, 'outputHash', s.output_hash,
      'promptTokens', s.prompt_tokens, 'outputTokens', s.output_tokens)))
  || jsonb_build_object('clock', s.clock, 'parameters', s.parameters)`;

/**
 * The suggestions of conflicts, newest first, as devices and reviewers see them; nothing for a conflict
 * without any.
 */
export async function listSuggestions(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<ReadonlyMap<string, Suggestion[]>> {
  const rows = await tx.query<{ id: string; suggestion: Suggestion; changes: Suggestion['changes'] | null }>(
    `SELECT c.id, n.suggestion, n.changes
     FROM unnest($2::uuid[]) WITH ORDINALITY AS c (id, place)
     CROSS JOIN LATERAL (
       SELECT ${SUGGESTION_JSON} AS suggestion, s.output AS changes, s.requested_at, s.suggestion_id
       FROM conflict_suggestion s WHERE s.tenant_id = $1 AND s.conflict_id = c.id
       ORDER BY s.requested_at DESC, s.suggestion_id DESC LIMIT ${SUGGESTIONS_SHOWN}) n
     ORDER BY c.place, n.requested_at DESC, n.suggestion_id DESC`,
    [tenantId, conflictIds],
  );
  const byConflict = new Map<string, Suggestion[]>();
  for (const [id, ofConflict] of Map.groupBy(rows, (row) => row.id)) {
    const suggestions = ofConflict.map(({ suggestion, changes }) =>
      changes ? { ...suggestion, changes } : suggestion,
    );
    byConflict.set(id, suggestions);
  }
  return byConflict;
}
