import type { Tx } from '@sync/postgres';
import { listSuggestions } from '../suggestions/suggestion-store.ts';
import type { ConflictRecord } from './conflict-record.ts';

/**
 * Adds records; one that is there already stays untouched.
 * @returns ids of those that were new
 */
export async function insertConflicts(
  tx: Tx,
  tenantId: string,
  records: readonly ConflictRecord[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ conflict_id: string }>(
    `INSERT INTO conflict_record (tenant_id, conflict_id, status, policy, entity_type, entity_id, scope, user_id,
                                  device_id, mutation_id, fields, draft, detected_at, resolved_at, resolution)
     SELECT $1, r."conflictId", r.status, r.policy, r."entityType", r."entityId", r.scope, r."userId", r."deviceId",
            r."mutationId", ARRAY(SELECT f->>'field' FROM jsonb_array_elements(r.draft->'fields') f), r.draft,
            r."detectedAt", r."resolvedAt", r.resolution
     FROM jsonb_to_recordset($2::jsonb) AS r ("conflictId" uuid, status text, policy text, "entityType" text,
            "entityId" text, scope text, "userId" text, "deviceId" text, "mutationId" uuid, draft jsonb,
            "detectedAt" timestamptz, "resolvedAt" timestamptz, resolution text)
     ON CONFLICT DO NOTHING
     RETURNING conflict_id`,
    [tenantId, JSON.stringify(records)],
  );
  return new Set(rows.map((row) => row.conflict_id));
}

/** The records by id, as devices see them: what a snapshot of the entity type `conflict` shows. */
export async function loadConflicts(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<ReadonlyMap<string, ConflictRecord & Record<string, unknown>>> {
  const rows = await tx.query<{ id: string; record: ConflictRecord & Record<string, unknown> }>(
    `SELECT conflict_id AS id, jsonb_build_object(
              'conflictId', conflict_id, 'userId', user_id, 'deviceId', device_id, 'scope', scope,
              'entityType', entity_type, 'entityId', entity_id, 'mutationId', mutation_id, 'policy', policy,
              'status', status, 'detectedAt', to_char(detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
              'resolvedAt', to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
              'resolution', resolution, 'draft', draft) AS record
     FROM conflict_record WHERE tenant_id = $1 AND conflict_id = ANY ($2::uuid[])`,
    [tenantId, conflictIds],
  );
  const suggestions = await listSuggestions(tx, tenantId, conflictIds);
  return new Map(rows.map(({ id, record }) => [id, { ...record, suggestions: suggestions.get(id) ?? [] }]));
}
