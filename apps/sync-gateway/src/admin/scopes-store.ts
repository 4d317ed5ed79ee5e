import type { Tx } from '@sync/postgres';
import type { AdminScopesResponse, MissingPurge } from '@sync/protocol';

export type HeldScope = AdminScopesResponse['grants'][number];

/** What a user holds, with the entities that grant it. */
export async function readHeldScopes(tx: Tx, tenantId: string, userId: string): Promise<HeldScope[]> {
  return tx.query<HeldScope>(
    `SELECT h.scope, coalesce(json_agg(json_build_object(
              'entityType', g.source_type, 'entityId', g.source_id, 'revision', g.revision)
              ORDER BY g.source_type, g.source_id) FILTER (WHERE g.scope IS NOT NULL), '[]') AS sources
     FROM held_scopes($1, $2) WITH ORDINALITY AS h (scope, place)
     LEFT JOIN scope_grant g ON g.tenant_id = $1 AND g.user_id = $2 AND g.scope = h.scope AND g.granted
     GROUP BY h.scope, h.place ORDER BY h.place`,
    [tenantId, userId],
  );
}

/** Where a page of missing purges begins: after this user, device and scope. */
export type PurgePosition = readonly [userId: string, deviceId: string, scope: string];

/**
 * Copies of scopes that their user does not hold any more: a device's row of a scope goes away with its purge receipt, so every row whose
 * scope is not held is a receipt that is missing.
 */
export async function readMissingPurges(
  tx: Tx,
  tenantId: string,
  after: PurgePosition | null,
  limit: number,
): Promise<MissingPurge[]> {
  const rows = await tx.query<Omit<MissingPurge, 'revokedAt'> & { readonly revokedAt: Date | null }>(
    `SELECT d.user_id AS "userId", d.device_id AS "deviceId", d.scope,
            (SELECT max(g.changed_at) FROM scope_grant g
             WHERE g.tenant_id = $1 AND g.user_id = d.user_id AND g.scope = d.scope) AS "revokedAt"
     FROM device_scope d
     WHERE d.tenant_id = $1 AND ($2::text IS NULL OR (d.user_id, d.device_id, d.scope) > ($2, $3, $4))
       AND NOT holds_scope($1, d.user_id, d.scope)
     ORDER BY d.user_id, d.device_id, d.scope LIMIT $5`,
    [tenantId, ...(after ?? [null, null, null]), limit],
  );
  return rows.map((row) => ({ ...row, revokedAt: row.revokedAt?.toISOString() ?? null }));
}
