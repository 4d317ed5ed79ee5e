import type { Tx } from '@sync/postgres';
import type { ConflictDecider, ConflictDecision, ConflictStatus } from '@sync/protocol';
import type { DetectedConflict } from './conflict-record.ts';

/** A row of `conflict_record`. */
export interface ConflictRow extends Omit<DetectedConflict, 'status'> {
  readonly status: ConflictStatus;
  readonly resolvedAt: string | null;
  readonly decision: ConflictDecision | null;
  readonly decider: ConflictDecider | null;
}

/** RFC 3339 in UTC with milliseconds, as every time on the wire. */
export const time = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Columns of a {@link ConflictRow}. */
export const RECORD_COLUMNS = `conflict_id AS "conflictId", user_id AS "userId", device_id AS "deviceId",
  scope, entity_type AS "entityType",
  entity_id AS "entityId", mutation_id AS "mutationId", policy, status, draft, decision, decider,
  ${time('detected_at')} AS "detectedAt", ${time('resolved_at')} AS "resolvedAt"`;

/**
 * Adds records; one that is there already stays untouched. What is open enters the queue of open conflicts.
 * @returns ids of those that were new
 */
export async function insertConflicts(
  tx: Tx,
  tenantId: string,
  records: readonly DetectedConflict[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ conflict_id: string }>(
    `WITH record AS (
       SELECT * FROM json_to_recordset($2::json) AS r ("conflictId" uuid, status text, policy text,
         "entityType" text,
         "entityId" text, scope text, "userId" text, "deviceId" text, "mutationId" uuid,
         draft json, "detectedAt" timestamptz)
     ), added AS (
       INSERT INTO conflict_record (tenant_id, conflict_id, status, policy, entity_type, entity_id, scope,
         user_id,
         device_id, mutation_id, fields, draft, detected_at, resolved_at, resolution, decision, decider)
       SELECT $1, r."conflictId", r.status, r.policy, r."entityType", r."entityId", r.scope, r."userId",
         r."deviceId",
         r."mutationId", ARRAY(SELECT f->>'field' FROM json_array_elements(r.draft->'fields') f), r.draft,
         r."detectedAt", auto.at, auto.kind, auto.decision, auto.decider
       FROM record r
       LEFT JOIN LATERAL (
         SELECT r."detectedAt" AS at, 'policy' AS kind, '{"kind":"policy"}'::json AS decision,
                jsonb_build_object('kind', 'policy', 'policy', r.policy) AS decider
         WHERE r.status = 'auto_resolved') auto ON true
       ON CONFLICT DO NOTHING
       RETURNING conflict_id, status, detected_at
     ), opened AS (
       INSERT INTO open_conflict (tenant_id, conflict_id, opened_at)
       SELECT $1, a.conflict_id, a.detected_at FROM added a WHERE a.status = 'open' ON CONFLICT DO NOTHING
     )
     SELECT conflict_id FROM added`,
    [tenantId, JSON.stringify(records)],
  );
  return new Set(rows.map((row) => row.conflict_id));
}

/** Records by id. */
export async function loadRows(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<ConflictRow[]> {
  return tx.query<ConflictRow>(
    `SELECT ${RECORD_COLUMNS} FROM conflict_record WHERE tenant_id = $1 AND conflict_id = ANY ($2::uuid[])`,
    [tenantId, conflictIds],
  );
}

/** One record under its row lock: the point where resolutions of it queue. */
export async function lockRow(tx: Tx, tenantId: string, conflictId: string): Promise<ConflictRow | null> {
  const [row] = await tx.query<ConflictRow>(
    `SELECT ${RECORD_COLUMNS} FROM conflict_record WHERE tenant_id = $1 AND conflict_id = $2 FOR UPDATE`,
    [tenantId, conflictId],
  );
  return row ?? null;
}

/** A resolution as it is stored. */
export interface StoredResolution {
  readonly decision: ConflictDecision;
  readonly decider: ConflictDecider;
  readonly resolvedAt: string;
}

/** Resolves an open record, which the caller holds locked; the database refuses it for any other. */
export async function storeResolution(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  { decision, decider, resolvedAt }: StoredResolution,
): Promise<void> {
  await tx.query(
    `WITH done AS (DELETE FROM open_conflict WHERE tenant_id = $1 AND conflict_id = $2)
     UPDATE conflict_record SET status = 'resolved', decision = $3, decider = $4, resolved_at = $5,
       resolution = $6
     WHERE tenant_id = $1 AND conflict_id = $2`,
    [tenantId, conflictId, JSON.stringify(decision), JSON.stringify(decider), resolvedAt, decision.kind],
  );
}
