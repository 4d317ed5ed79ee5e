import type { Tx } from '@sync/postgres';
import type { Observations } from './collect-observations.ts';

/**
 * Writes a tenant's observations, one statement per kind. Rows are sorted, so that two partitions never
 * deadlock.
 */
export async function saveObservations(tx: Tx, tenantId: string, seen: Observations): Promise<void> {
  await rememberTenant(tx, tenantId);
  if (seen.devices.size > 0) await saveDevices(tx, tenantId, seen);
  if (seen.scopes.size > 0) await saveScopes(tx, tenantId, seen);
  if (seen.cursors.size > 0) await saveCursors(tx, tenantId, seen);
  if (seen.revoked.length > 0) await savePurgesOwed(tx, tenantId, seen);
  if (seen.purged.length > 0) await savePurges(tx, tenantId, seen);
  if (seen.incidents.length > 0) await saveIncidents(tx, tenantId, seen);
}

async function rememberTenant(tx: Tx, tenantId: string): Promise<void> {
  await tx.call('remember_tenant', 'INSERT INTO known_tenant VALUES ($1) ON CONFLICT DO NOTHING', [tenantId]);
}

async function saveDevices(tx: Tx, tenantId: string, { devices }: Observations): Promise<void> {
  await tx.call(
    'save_devices',
    `INSERT INTO device AS d (tenant_id, device_id, user_id, last_seen_at, connected, clock_offset_ms, pending,
                              oldest_pending_at, revoked_at)
     SELECT $1, r."deviceId", r."userId", r."lastSeenAt", coalesce(r.connected, false), r."clockOffsetMs", r.pending,
            r."oldestPendingAt", r."revokedAt"
     FROM jsonb_to_recordset($2::jsonb) AS r ("deviceId" text, "userId" text, "lastSeenAt" timestamptz,
            connected boolean, "clockOffsetMs" bigint, pending bigint, "oldestPendingAt" timestamptz, "revokedAt" timestamptz)
     ORDER BY r."deviceId" COLLATE "C"
     ON CONFLICT (tenant_id, device_id) DO UPDATE SET
       last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
       connected = CASE WHEN excluded.last_seen_at IS NULL AND excluded.revoked_at IS NULL THEN d.connected
                        ELSE excluded.connected END,
       clock_offset_ms = coalesce(excluded.clock_offset_ms, d.clock_offset_ms),
       oldest_pending_at = CASE WHEN excluded.pending IS NULL THEN d.oldest_pending_at ELSE excluded.oldest_pending_at END,
       pending = coalesce(excluded.pending, d.pending),
       revoked_at = coalesce(d.revoked_at, excluded.revoked_at),
       updated_at = now()`,
    [tenantId, JSON.stringify([...devices.values()])],
  );
}

async function saveScopes(tx: Tx, tenantId: string, { scopes }: Observations): Promise<void> {
  await tx.call(
    'save_scopes',
    `INSERT INTO scope_minute AS s (tenant_id, scope, minute, epoch, sequence, first_sequence, first_at, last_at)
     SELECT $1, r.scope, r.minute, r.epoch, r.sequence, r."firstSequence", r."firstAt", r."lastAt"
     FROM jsonb_to_recordset($2::jsonb) AS r (scope text, minute timestamptz, epoch text, sequence bigint,
       "firstSequence" bigint, "firstAt" timestamptz, "lastAt" timestamptz)
     ORDER BY r.scope COLLATE "C", r.minute
     ON CONFLICT (tenant_id, scope, minute) DO UPDATE SET
       first_sequence = CASE WHEN s.epoch = excluded.epoch THEN s.first_sequence ELSE excluded.first_sequence END,
       first_at = CASE WHEN s.epoch = excluded.epoch THEN s.first_at ELSE excluded.first_at END,
       epoch = excluded.epoch, sequence = excluded.sequence, last_at = excluded.last_at
       WHERE s.epoch <> excluded.epoch OR s.sequence < excluded.sequence`,
    [tenantId, JSON.stringify([...scopes.values()])],
  );
}

async function saveCursors(tx: Tx, tenantId: string, { cursors }: Observations): Promise<void> {
  await tx.call(
    'save_cursors',
    `INSERT INTO device_cursor AS c (tenant_id, device_id, scope, epoch, sequence, acked_at)
     SELECT $1, r."deviceId", r.scope, r.epoch, r.sequence, r."ackedAt"
     FROM jsonb_to_recordset($2::jsonb) AS r ("deviceId" text, scope text, epoch text, sequence bigint, "ackedAt" timestamptz)
     ORDER BY r."deviceId" COLLATE "C", r.scope COLLATE "C"
     ON CONFLICT (tenant_id, device_id, scope) DO UPDATE SET
       epoch = excluded.epoch, sequence = excluded.sequence, acked_at = excluded.acked_at
       WHERE c.epoch <> excluded.epoch OR c.sequence < excluded.sequence`,
    [tenantId, JSON.stringify([...cursors.values()])],
  );
}

// Revocations and purges are rare: a statement each, by key. Joined with a batch, the planner (which under
// row level security expects one row of a tenant) would read all cursors of the tenant for each of them.
async function savePurgesOwed(tx: Tx, tenantId: string, { revoked }: Observations): Promise<void> {
  // The last word per user and scope counts.
  const latest = new Map(revoked.map((row) => [`${row.userId} ${row.scope}`, row]));
  for (const { userId, scope, owed } of latest.values()) {
    await tx.call(
      'save_purge_owed',
      `UPDATE device_cursor SET purge_owed = $4
       WHERE tenant_id = $1 AND scope = $3
         AND device_id = ANY (ARRAY(SELECT d.device_id FROM device d WHERE d.tenant_id = $1 AND d.user_id = $2))`,
      [tenantId, userId, scope, owed],
    );
  }
}

async function savePurges(tx: Tx, tenantId: string, { purged }: Observations): Promise<void> {
  for (const { deviceId, scope } of purged) {
    await tx.call(
      'save_purge',
      'DELETE FROM device_cursor WHERE tenant_id = $1 AND device_id = $2 AND scope = $3',
      [tenantId, deviceId, scope],
    );
  }
}

async function saveIncidents(tx: Tx, tenantId: string, { incidents }: Observations): Promise<void> {
  await tx.call(
    'save_incidents',
    `INSERT INTO device_incident (tenant_id, device_id, event_id, kind, at)
     SELECT $1, r."deviceId", r."eventId", r.kind, r.at
     FROM jsonb_to_recordset($2::jsonb) AS r ("deviceId" text, "eventId" text, kind text, at timestamptz)
     ON CONFLICT DO NOTHING`,
    [tenantId, JSON.stringify(incidents)],
  );
}
