import type { Database, Tx } from '@sync/postgres';
import type { SyncEvent } from '@sync/protocol';

/** Keeps events once each; a transaction of all their tenants. */
export async function keepEvents(tx: Tx, events: readonly SyncEvent[]): Promise<void> {
  await tx.call(
    'keep_events',
    `WITH r AS (
       SELECT e ->> 'tenantid' AS tenant_id, e ->> 'id' AS event_id, e ->> 'type' AS type,
              (e ->> 'time')::timestamptz AS at, e AS event
       FROM json_array_elements($1::json) AS e
     ), tenants AS (
       INSERT INTO analytics_tenant SELECT DISTINCT tenant_id FROM r ON CONFLICT DO NOTHING
     )
     INSERT INTO sync_event (tenant_id, event_id, type, at, event)
     SELECT tenant_id, event_id, type, at, event FROM r ORDER BY tenant_id, event_id
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(events)],
  );
}

export interface EventQuery {
  readonly tenantId: string;
  /** One type, or all when empty. */
  readonly type: string;
  readonly limit: number;
}

/** The newest events of a tenant, and how many of each type there are. */
export async function findEvents(
  database: Database,
  { tenantId, type, limit }: EventQuery,
): Promise<{ counts: Record<string, number>; events: SyncEvent[] }> {
  return database.inTenant(tenantId, async (tx) => {
    const counts = await tx.call<{ type: string; count: number }>(
      'count_events',
      'SELECT type, count(*)::int4 AS count FROM sync_event WHERE tenant_id = $1 GROUP BY type ORDER BY type',
      [tenantId],
    );
    const rows = await tx.call<{ event: SyncEvent }>(
      'find_events',
      `SELECT event FROM sync_event WHERE tenant_id = $1 AND ($2 = '' OR type = $2)
       ORDER BY at DESC, event_id LIMIT $3`,
      [tenantId, type, limit],
    );
    return {
      counts: Object.fromEntries(counts.map((row) => [row.type, row.count])),
      events: rows.map((row) => row.event),
    };
  });
}

/** @returns how many events of all tenants were forgotten */
export async function forgetEvents(database: Database, retentionHours: number): Promise<number> {
  const tenants = await database.call<{ tenant_id: string }>(
    'analytics_tenants',
    'SELECT tenant_id FROM analytics_tenant ORDER BY tenant_id',
    [],
  );
  let forgotten = 0;
  for (const { tenant_id: tenantId } of tenants) {
    const [gone] = await database.inTenant(tenantId, (tx) =>
      tx.call<{ count: number }>(
        'forget_events',
        `WITH gone AS (
           DELETE FROM sync_event WHERE tenant_id = $1 AND at < now() - make_interval(hours => $2) RETURNING 1
         ) SELECT count(*)::int4 AS count FROM gone`,
        [tenantId, retentionHours],
      ),
    );
    forgotten += gone?.count ?? 0;
  }
  return forgotten;
}
