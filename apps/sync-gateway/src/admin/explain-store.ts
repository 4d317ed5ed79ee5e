import type { Tx } from '@sync/postgres';

/** What the gateway knows of one entity in one scope, for one device. Sequences are decimal text. */
export interface ScopeFacts {
  readonly scope: string;
  readonly held: boolean;
  /** The entity's last delta in the read model; null: it was never ingested there. */
  readonly delta: { readonly sequence: string; readonly revision: number; readonly deleted: boolean } | null;
  readonly head: { readonly epoch: string; readonly sequence: string } | null;
  /** The device's SyncCursor; null: it was never served this scope. */
  readonly cursor: {
    readonly epoch: string;
    readonly sequence: string;
    readonly acked: boolean;
    readonly resync: string | null;
  } | null;
}

/** A mutation of the device for the entity that has no outcome yet. */
export interface OpenFacts {
  readonly mutationId: string;
  readonly status: string;
  readonly attempts: number;
  readonly waitsFor: string | null;
}

/**
 * The user of a device as its rows name it, newest first; null: no request of this device was ever served.
 */
export async function readUserOf(tx: Tx, tenantId: string, deviceId: string): Promise<string | null> {
  const rows = await tx.query<{ user_id: string }>(
    `SELECT known.user_id FROM (
       SELECT d.user_id, d.changed_at AS at FROM device_scope d WHERE d.tenant_id = $1 AND d.device_id = $2
       UNION ALL
       (SELECT m.user_id, m.received_at FROM mutation m WHERE m.tenant_id = $1 AND m.device_id = $2
        ORDER BY m.arrival DESC LIMIT 1)) known
     ORDER BY known.at DESC LIMIT 1`,
    [tenantId, deviceId],
  );
  return rows[0]?.user_id ?? null;
}

export async function readRevokedAt(tx: Tx, tenantId: string, deviceId: string): Promise<string | null> {
  const rows = await tx.query<{ at: Date }>(
    `SELECT r.revoked_at AS at FROM device_revocation r WHERE r.tenant_id = $1 AND r.device_id = $2`,
    [tenantId, deviceId],
  );
  return rows[0]?.at.toISOString() ?? null;
}

export interface ExplainedEntity {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly entityType: string;
  readonly entityId: string;
}

/**
 * The scopes that have the entity for the projector, and those of the user that have it, or had, in the read
 * model.
 */
export async function readScopeFacts(
  tx: Tx,
  entity: ExplainedEntity,
  scopes: readonly string[],
): Promise<ScopeFacts[]> {
  return tx.query<ScopeFacts>(
    `SELECT c.scope, holds_scope($1, $2, c.scope) AS held,
       CASE WHEN e.sequence IS NOT NULL THEN json_build_object(
         'sequence', e.sequence::text, 'revision', e.revision, 'deleted', e.deleted) END AS delta,
       CASE WHEN h.sequence IS NOT NULL THEN
         json_build_object('epoch', h.epoch, 'sequence', h.sequence::text) END AS head,
       CASE WHEN d.scope IS NOT NULL THEN json_build_object('epoch', d.epoch, 'sequence', d.sequence::text,
         'acked', d.acked_at IS NOT NULL, 'resync', d.resync_reason) END AS cursor
     FROM (SELECT unnest($6::text[]) AS scope UNION SELECT held_scopes($1, $2)) c
     LEFT JOIN scope_delta e ON e.tenant_id = $1 AND e.scope = c.scope AND e.entity_type = $4
       AND e.entity_id = $5
     LEFT JOIN LATERAL (SELECT s.* FROM scope_head s WHERE s.tenant_id = $1
       AND s.scope = c.scope LIMIT 1) h ON true
     LEFT JOIN device_scope d ON d.tenant_id = $1 AND d.user_id = $2 AND d.device_id = $3
       AND d.scope = c.scope
     WHERE e.sequence IS NOT NULL OR c.scope = ANY ($6)
     ORDER BY c.scope`,
    [entity.tenantId, entity.userId, entity.deviceId, entity.entityType, entity.entityId, scopes],
  );
}

export async function readOpenMutations(tx: Tx, entity: ExplainedEntity): Promise<OpenFacts[]> {
  return tx.query<OpenFacts>(
    `SELECT o."mutationId", o.status, o.attempts, o."waitsFor" FROM (
       SELECT m.arrival AS place, m.mutation_id AS "mutationId", m.status, m.attempts,
         m.last_error AS "waitsFor" FROM mutation m
       WHERE m.tenant_id = $1 AND m.device_id = $2 AND m.entity_type = $3 AND m.entity_id = $4
         AND m.terminal_at IS NULL
       UNION ALL
       SELECT i.place, i.id, 'pending', 0, NULL FROM received_push r
       CROSS JOIN LATERAL unnest(r.mutation_ids, r.entity_types, r.entity_ids) WITH ORDINALITY
         AS i (id, type, entity, place)
       WHERE r.tenant_id = $1 AND r.device_id = $2 AND i.type = $3 AND i.entity = $4) o
     ORDER BY o.place LIMIT 20`,
    [entity.tenantId, entity.deviceId, entity.entityType, entity.entityId],
  );
}
