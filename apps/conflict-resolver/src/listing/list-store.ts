import type { Tx } from '@sync/postgres';
import type { ConflictSummary, ConflictsRequest } from '@sync/protocol';

export interface PagePosition {
  readonly detectedAt: string;
  readonly conflictId: string;
}

/** Records that match, newest first, after a position; keyset, so that new records never shift a page. */
export async function listConflicts(
  tx: Tx,
  request: ConflictsRequest,
  after: PagePosition | null,
  limit: number,
): Promise<ConflictSummary[]> {
  return tx.query<ConflictSummary>(
    `SELECT conflict_id AS "conflictId", status, policy, entity_type AS "entityType", entity_id AS "entityId", scope,
            user_id AS "userId", device_id AS "deviceId", mutation_id AS "mutationId", fields, resolution,
            to_char(detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "detectedAt",
            to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "resolvedAt"
     FROM conflict_record
     WHERE tenant_id = $1
       AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR user_id = $3)
       AND ($4::text IS NULL OR device_id = $4) AND ($5::text IS NULL OR entity_type = $5)
       AND ($6::text IS NULL OR entity_id = $6)
       AND ($7::timestamptz IS NULL OR (detected_at, conflict_id) < ($7::timestamptz, $8::uuid))
     ORDER BY detected_at DESC, conflict_id DESC
     LIMIT $9`,
    [
      request.tenantId,
      request.status ?? null,
      request.userId ?? null,
      request.deviceId ?? null,
      request.entityType ?? null,
      request.entityId ?? null,
      after?.detectedAt ?? null,
      after?.conflictId ?? null,
      limit,
    ],
  );
}
