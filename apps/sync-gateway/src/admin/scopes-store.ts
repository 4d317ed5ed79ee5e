import type { Tx } from '@sync/postgres';
import type { AdminScopesResponse, MissingPurge } from '@sync/protocol';

export type HeldScope = AdminScopesResponse['grants'][number];

/** Entities shown for each scope: a course may be granted by one enrollment, or by thousands. */
const SOURCES_SHOWN = 20;

/**
 * What a user holds, the own scope first, then by name, with some of the entities that grant it.
 * @param after a scope; null: from the start
 */
export async function readHeldScopes(
  tx: Tx,
  { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
  after: string | null,
  limit: number,
): Promise<HeldScope[]> {
  const own = `user:${userId}`;
  const rows = await tx.query<HeldScope>(
    `SELECT h.scope, coalesce(s.sources, '[]') AS sources
     FROM (
       SELECT $3::text AS scope, 0 AS rank WHERE $4::text IS NULL
       UNION ALL
       (SELECT DISTINCT g.scope COLLATE "C", 1 FROM scope_grant g
        WHERE g.tenant_id = $1 AND g.user_id = $2 AND g.granted AND g.scope <> $3
          AND ($4 IS NULL OR $4 = $3 OR g.scope COLLATE "C" > $4)
        ORDER BY 1 LIMIT $5)) h
     CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object(
           'entityType', g.source_type, 'entityId', g.source_id, 'revision', g.revision)) AS sources
       FROM (
         SELECT k.source_type, k.source_id, k.revision FROM scope_grant k
         WHERE k.tenant_id = $1 AND k.user_id = $2 AND k.scope = h.scope AND k.granted
         ORDER BY k.source_type, k.source_id LIMIT ${SOURCES_SHOWN + 1}) g) s
     ORDER BY h.rank, h.scope COLLATE "C" LIMIT $5`,
    [tenantId, userId, own, after, limit],
  );
  return rows.map(({ scope, sources }) => {
    const hasMore = sources.length > SOURCES_SHOWN;
    return {
      scope,
      sources: sources.slice(0, SOURCES_SHOWN),
      ...(hasMore && { moreSources: true as const }),
    };
  });
}

/** Where a page of missing purges begins: after this user, device and scope. */
export type PurgePosition = readonly [userId: string, deviceId: string, scope: string];

/**
 * Copies of scopes that their user does not hold any more: a device's row of a scope goes away with its purge
 * receipt, so every row whose scope is not held is a receipt that is missing.
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
