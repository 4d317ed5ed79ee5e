import type { Tx } from '@sync/postgres';
import type { VectorClock } from '@sync/vector-clock';

/** The row of `sync_entity`. */
export interface EntityVersion {
  readonly revision: number;
  readonly clock: VectorClock;
  readonly deleted: boolean;
}

/** Postgres `bigint` arrives as text; the protocol bounds revisions to safe integers. */
export interface VersionRow {
  readonly entity_id: string;
  readonly revision: string;
  readonly clock: VectorClock;
  readonly deleted: boolean;
}

export function versionOf(row: VersionRow): EntityVersion {
  return { revision: Number(row.revision), clock: row.clock, deleted: row.deleted };
}

/**
 * Locks the versions of entities until the transaction ends, in the order of their ids, so that two batches queue and
 * never deadlock. An entity that does not exist has no row to lock: whoever creates it finds out at the insert.
 */
export async function lockVersions(
  tx: Tx,
  tenantId: string,
  entityType: string,
  entityIds: readonly string[],
): Promise<Map<string, EntityVersion>> {
  const rows = await tx.call<VersionRow>(
    'sync_lock_versions',
    `SELECT entity_id, revision, clock, deleted FROM sync_entity
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = ANY ($3::text[])
     ORDER BY entity_id FOR UPDATE`,
    [tenantId, entityType, entityIds],
  );
  return new Map(rows.map((row) => [row.entity_id, versionOf(row)]));
}
