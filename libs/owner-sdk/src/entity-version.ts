import { isTooSlow, type Tx } from '@sync/postgres';
import type { VectorClock } from '@sync/vector-clock';
import type { SentRecord } from './push/sent-record.ts';

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

/** A version under its lock. */
export interface LockedVersion extends EntityVersion {
  readonly sent: SentRecord | null;
}

interface LockedRow extends VersionRow {
  readonly sent_by: string | null;
  readonly sent_digest: string | null;
}

function lockedOf(row: LockedRow): LockedVersion {
  const { sent_by: by, sent_digest: digest } = row;
  return { ...versionOf(row), sent: by === null || digest === null ? null : { by, digest } };
}

/**
 * Others had the entities for longer than a statement may take, though none of its waits was too long: behind
 * a queue a row is waited for twice, for the first place and then for whoever has the row.
 */
class LockQueueError extends Error {
  override readonly name = 'LockQueueError';
  /** That of one wait that was too long (`lock_not_available`). */
  readonly code = '55P03';
}

/**
 * Locks the versions of entities until the transaction ends, in the order of their ids, so that two batches
 * queue and never deadlock. An entity that does not exist has no row to lock: whoever creates it finds out at
 * the insert.
 *
 * @throws the driver's error; one with SQLSTATE 55P03 whenever others had them too long, never 57014, because
 * this statement costs nothing but waiting
 */
export async function lockVersions(
  tx: Tx,
  tenantId: string,
  entityType: string,
  entityIds: readonly string[],
): Promise<Map<string, LockedVersion>> {
  const locking = tx.call<LockedRow>(
    'sync_lock_versions',
    `SELECT entity_id, revision, clock, deleted, sent_by, sent_digest FROM sync_entity
     WHERE tenant_id = $1 AND entity_type = $2 AND entity_id = ANY ($3::text[])
     ORDER BY entity_id FOR UPDATE`,
    [tenantId, entityType, entityIds],
  );
  const rows = await locking.catch((cause: unknown) => {
    throw isTooSlow(cause) ? new LockQueueError('Others have these entities', { cause }) : cause;
  });
  return new Map(rows.map((row) => [row.entity_id, lockedOf(row)]));
}
