import type { Tx } from '@sync/postgres';
import type { ConflictSummary, ConflictsRequest } from '@sync/protocol';
import { time } from '../records/conflict-store.ts';

export interface PagePosition {
  /** As exact as it is stored: in milliseconds it would skip or repeat records of the same one. */
  readonly detectedAt: string;
  readonly conflictId: string;
}

/** A record of a page, and where the page after it goes on. */
export interface ListedConflict {
  readonly summary: ConflictSummary;
  readonly position: PagePosition;
}

/** Field names in a summary: enough to recognise the conflict, and bounded whatever the record holds. */
const FIELDS_SHOWN = 20;
const FIELD_LENGTH = 128;

const FILTERS = [
  ['status', 'status'],
  ['policy', 'policy'],
  ['userId', 'user_id'],
  ['deviceId', 'device_id'],
  ['entityType', 'entity_type'],
  ['entityId', 'entity_id'],
] as const satisfies readonly (readonly [keyof ConflictsRequest, string])[];

/**
 * Records that match, newest first, after a position; keyset, so that new records never shift a page.
 *
 * Plans: four indexes begin with the tenant and end with the order of the list, and the planner takes any of
 * them (4,500 rows for ten of an entity). So the column that the right one has before that order is written
 * as a range and put in front of the order: the others would have to sort, which `readInOrder` forbids.
 */
export async function listConflicts(
  tx: Tx,
  request: ConflictsRequest,
  after: PagePosition | null,
  limit: number,
): Promise<ListedConflict[]> {
  const values: unknown[] = [request.tenantId];
  const add = (value: unknown): string => `$${values.push(value)}`;
  const leading = leadingFilter(request);
  const conditions = ['tenant_id = $1'];
  for (const [name, column] of FILTERS) {
    const value = request[name];
    if (value === undefined) continue;
    if (column === 'status') {
      // A literal, which the partial index of open records is matched by; its schema is a closed list.
      conditions.push(`status = '${value}'`);
      continue;
    }
    const placed = add(value);
    if (column === leading) conditions.push(`${column} >= ${placed} AND ${column} <= ${placed}`);
    else conditions.push(`${column} = ${placed}`);
  }
  if (request.from !== undefined) conditions.push(`detected_at >= ${add(request.from)}::timestamptz`);
  if (request.to !== undefined) conditions.push(`detected_at < ${add(request.to)}::timestamptz`);
  if (after)
    conditions.push(
      `(detected_at, conflict_id) < (${add(after.detectedAt)}::timestamptz, ${add(after.conflictId)}::uuid)`,
    );
  const rows = await tx.query<ConflictSummary & { exactly: string }>(
    `SELECT conflict_id AS "conflictId", status, policy, entity_type AS "entityType",
      entity_id AS "entityId", scope,
            user_id AS "userId", device_id AS "deviceId", mutation_id AS "mutationId",
            ARRAY(SELECT left(f, ${FIELD_LENGTH}) FROM unnest(fields[1:${FIELDS_SHOWN}]) f) AS fields,
              resolution,
            ${time('detected_at')} AS "detectedAt", ${time('resolved_at')} AS "resolvedAt",
            to_char(detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS exactly
     FROM conflict_record
     WHERE ${conditions.join(' AND ')}
     ORDER BY ${leading === null ? '' : `${leading}, `}detected_at DESC, conflict_id DESC
     LIMIT ${add(limit)}`,
    values,
  );
  return rows.map(({ exactly, ...summary }) => ({
    summary,
    position: { detectedAt: exactly, conflictId: summary.conflictId },
  }));
}

/** The column by which the list's own index begins after the tenant; null: the tenant's newest. */
function leadingFilter({ userId, entityType, entityId }: ConflictsRequest): 'user_id' | 'entity_id' | null {
  if (userId !== undefined) return 'user_id';
  return entityType !== undefined && entityId !== undefined ? 'entity_id' : null;
}
