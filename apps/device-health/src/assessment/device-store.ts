import type { Tx } from '@sync/postgres';
import type { StoredDevice } from './observation.ts';

export interface DeviceFilter {
  readonly afterDeviceId: string | null;
  readonly deviceId: string | null;
  readonly userId: string | null;
  readonly status: string | null;
  readonly limit: number;
  /** Of the page of scopes that each comes with. */
  readonly scopes: { readonly after: string | null; readonly limit: number };
}

const EPOCH_MS = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;

/** For rows that were written before changes had their times. */
const MINUTE_END = `least(s.minute + interval '1 minute', now())`;

/**
 * Scopes that a device is judged by, for it may hold thousands: so many of those whose purge it owes, and so
 * many of the others, of which those that are longest behind. Neither kind hides the other.
 */
const JUDGED_OF_A_KIND = 50;

// A cursor is behind since a change of the first minute that ended past it, or whose epoch is another one:
// since that minute's first change where the cursor has not even that, else since its last one, which is late
// by less than a minute. Never since before the cursor was behind.
const SCOPE = `
  SELECT c.scope, c.sequence::text AS "ackedSequence", head.sequence::text AS "headSequence",
    c.purge_owed AS "purgeOwed", behind.since AS "behindSinceMs"
  FROM device_cursor c
  LEFT JOIN LATERAL (
    SELECT s.sequence FROM scope_minute s WHERE s.tenant_id = c.tenant_id AND s.scope = c.scope
    ORDER BY s.minute DESC LIMIT 1) head ON true
  LEFT JOIN LATERAL (
    SELECT ${EPOCH_MS(`CASE WHEN s.first_sequence > c.sequence OR s.epoch <> c.epoch
        THEN coalesce(s.first_at, s.last_at, ${MINUTE_END})
          ELSE coalesce(s.last_at, ${MINUTE_END}) END`)} AS since
    FROM scope_minute s
    WHERE s.tenant_id = c.tenant_id AND s.scope = c.scope
      AND (s.sequence > c.sequence OR s.epoch <> c.epoch) AND s.minute >= date_trunc('minute', c.acked_at)
    ORDER BY s.minute LIMIT 1) behind ON true`;

const worstWhere = (kind: string): string => `
  ${SCOPE} WHERE c.tenant_id = d.tenant_id AND c.device_id = d.device_id AND ${kind}
  ORDER BY behind.since, c.scope LIMIT ${JUDGED_OF_A_KIND}`;

const WORST_SCOPES = `
  SELECT coalesce(jsonb_agg(to_jsonb(w)), '[]') FROM (
    (${worstWhere('c.purge_owed')}) UNION ALL (${worstWhere('NOT c.purge_owed')})) w`;

const SCOPE_PAGE = `
  SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM (
    ${SCOPE} WHERE c.tenant_id = d.tenant_id AND c.device_id = d.device_id
      AND ($7::text IS NULL OR c.scope > $7 COLLATE "C")
    ORDER BY c.scope COLLATE "C" LIMIT $8) p`;

/** Devices of a tenant by id, with their worst scopes, incidents, and a page of their scopes by name. */
export async function readDevices(tx: Tx, tenantId: string, filter: DeviceFilter): Promise<StoredDevice[]> {
  return tx.query<StoredDevice>(
    `SELECT d.device_id AS "deviceId", d.user_id AS "userId", d.connected, d.status,
            ${EPOCH_MS('d.last_seen_at')} AS "lastSeenAtMs", d.clock_offset_ms::float8 AS "clockOffsetMs",
            d.pending::float8 AS pending, ${EPOCH_MS('d.oldest_pending_at')} AS "oldestPendingAtMs",
            ${EPOCH_MS('d.revoked_at')} AS "revokedAtMs", ${EPOCH_MS('d.updated_at')} AS "updatedAtMs",
            i.all_resyncs AS "fullResyncs", i.resyncs AS "fullResyncs7d",
              i.mismatches AS "digestMismatches7d",
            i.last_resync AS "lastFullResyncAtMs", (${WORST_SCOPES}) AS scopes,
            (${SCOPE_PAGE}) AS "scopePage"
     FROM device d
     CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE kind = 'full_resync')::int AS all_resyncs,
              count(*) FILTER (WHERE kind = 'full_resync' AND at > now() - interval '7 days')::int AS resyncs,
              count(*) FILTER (WHERE kind = 'digest_mismatch'
                AND at > now() - interval '7 days')::int AS mismatches,
              ${EPOCH_MS("max(at) FILTER (WHERE kind = 'full_resync')")} AS last_resync
       FROM device_incident i WHERE i.tenant_id = d.tenant_id AND i.device_id = d.device_id) i
     WHERE d.tenant_id = $1
       AND ($2::text IS NULL OR d.device_id > $2 COLLATE "C") AND ($3::text IS NULL OR d.device_id = $3)
       AND ($4::text IS NULL OR d.user_id = $4) AND ($5::text IS NULL OR d.status = $5)
     ORDER BY d.device_id LIMIT $6`,
    [
      ...[tenantId, filter.afterDeviceId, filter.deviceId, filter.userId, filter.status, filter.limit],
      ...[filter.scopes.after, filter.scopes.limit],
    ],
  );
}

/** Of a list: no scopes by name. */
export const NO_SCOPES: DeviceFilter['scopes'] = { after: null, limit: 0 };

export interface StatusChange {
  readonly deviceId: string;
  readonly userId: string;
  readonly status: string;
  readonly reasons: readonly string[];
}

/**
 * Writes statuses that changed; `updated_at` stays: it says when the device was last heard of. An upsert of
 * rows that are there, because it goes by key whatever the planner expects of a tenant.
 */
export async function saveStatuses(
  tx: Tx,
  tenantId: string,
  changes: readonly StatusChange[],
): Promise<void> {
  await tx.query(
    `INSERT INTO device AS d (tenant_id, device_id, user_id, status, reasons)
     SELECT $1, r."deviceId", r."userId", r.status, r.reasons
     FROM jsonb_to_recordset($2::jsonb) AS r ("deviceId" text, "userId" text, status text, reasons jsonb)
     ON CONFLICT (tenant_id, device_id) DO UPDATE SET status = excluded.status, reasons = excluded.reasons`,
    [tenantId, JSON.stringify(changes)],
  );
}

/** Tenants that have devices. */
export async function readTenants(tx: Tx): Promise<string[]> {
  const rows = await tx.query<{ tenant_id: string }>('SELECT tenant_id FROM known_tenant ORDER BY tenant_id');
  return rows.map((row) => row.tenant_id);
}

/** Forgets minutes and incidents that no status depends on any more. */
export async function pruneHistory(tx: Tx, tenantId: string): Promise<void> {
  await tx.query(
    `DELETE FROM scope_minute s WHERE tenant_id = $1 AND minute < now() - interval '30 days'
       AND EXISTS (SELECT 1 FROM scope_minute n WHERE n.tenant_id = $1 AND n.scope = s.scope AND n.minute > s.minute)`,
    [tenantId],
  );
  await tx.query(`DELETE FROM device_incident WHERE tenant_id = $1 AND at < now() - interval '90 days'`, [
    tenantId,
  ]);
}
