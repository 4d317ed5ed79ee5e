import type { Tx } from '@sync/postgres';
import type { ConflictSummary, ConflictsRequest } from '@sync/protocol';

export interface PagePosition {
  readonly detectedAt: string;
  readonly conflictId: string;
}

/** Field names in a summary: enough to recognise the conflict, and bounded whatever the record holds. */
const FIELDS_SHOWN = 20;
const FIELD_LENGTH = 128;

const FILTERS = {
  status: 'status',
  policy: 'policy',
  userId: 'user_id',
  deviceId: 'device_id',
  entityType: 'entity_type',
  entityId: 'entity_id',
} as const satisfies Partial<Record<keyof ConflictsRequest, string>>;

/**
 * Records that match, newest first, after a position; keyset, so that new records never shift a page.
 *
 * Only the asked-for filters are written into the statement, and it is planned each time: `$2 IS NULL OR …` would hide from the planner that a
 * user's list, or an entity's, has an index of its own, and it would read the tenant.
 */
export async function listConflicts(
  tx: Tx,
  request: ConflictsRequest,
  after: PagePosition | null,
  limit: number,
): Promise<ConflictSummary[]> {
  const values: unknown[] = [request.tenantId];
  const add = (value: unknown): string => `$${values.push(value)}`;
  const conditions = ['tenant_id = $1'];
  for (const [name, column] of Object.entries(FILTERS)) {
    const value = request[name as keyof typeof FILTERS];
    // The status stands as a literal, which the partial index of open records is matched by; its schema is a closed list.
    if (name === 'status' && value !== undefined) conditions.push(`status = '${value}'`);
    else if (value !== undefined) conditions.push(`${column} = ${add(value)}`);
  }
  if (request.from !== undefined) conditions.push(`detected_at >= ${add(request.from)}::timestamptz`);
  if (request.to !== undefined) conditions.push(`detected_at < ${add(request.to)}::timestamptz`);
  if (after)
    conditions.push(
      `(detected_at, conflict_id) < (${add(after.detectedAt)}::timestamptz, ${add(after.conflictId)}::uuid)`,
    );
  return tx.query<ConflictSummary>(
    `SELECT conflict_id AS "conflictId", status, policy, entity_type AS "entityType", entity_id AS "entityId", scope,
            user_id AS "userId", device_id AS "deviceId", mutation_id AS "mutationId",
            ARRAY(SELECT left(f, ${FIELD_LENGTH}) FROM unnest(fields[1:${FIELDS_SHOWN}]) f) AS fields, resolution,
            to_char(detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "detectedAt",
            to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "resolvedAt"
     FROM conflict_record
     WHERE ${conditions.join(' AND ')}
     ORDER BY detected_at DESC, conflict_id DESC
     LIMIT ${add(limit)}`,
    values,
  );
}
