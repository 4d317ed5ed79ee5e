-- Writes what sync events say about devices, cursors and scopes, of several tenants at once.
--
-- p_tenants: all of them, as the value of app.tenant. Then rows as in collect-observations.ts; null: none of
-- that kind. They are sorted, so that two consumers queue and never deadlock.
CREATE OR REPLACE FUNCTION save_observations(
  p_tenants text, p_devices json, p_scopes json, p_cursors json, p_revoked json, p_purged json, p_incidents json
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  r record;
BEGIN
  PERFORM set_config('app.tenant', p_tenants, true);
  INSERT INTO known_tenant SELECT t.id FROM string_to_table(p_tenants, ',') AS t (id)
    ON CONFLICT DO NOTHING;

  IF p_devices IS NOT NULL THEN
    INSERT INTO device AS d (tenant_id, device_id, user_id, last_seen_at, connected, clock_offset_ms, pending,
      oldest_pending_at, revoked_at)
    SELECT s."tenantId", s."deviceId", s."userId", s."lastSeenAt", coalesce(s.connected, false),
      s."clockOffsetMs",
      s.pending, s."oldestPendingAt", s."revokedAt"
    FROM json_to_recordset(p_devices) AS s ("tenantId" text, "deviceId" text, "userId" text,
      "lastSeenAt" timestamptz, connected boolean, "clockOffsetMs" bigint, pending bigint,
      "oldestPendingAt" timestamptz, "revokedAt" timestamptz)
    ORDER BY s."tenantId" COLLATE "C", s."deviceId" COLLATE "C"
    ON CONFLICT (tenant_id, device_id) DO UPDATE SET
      last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
      connected = CASE WHEN excluded.last_seen_at IS NULL AND excluded.revoked_at IS NULL THEN d.connected
        ELSE excluded.connected END,
      clock_offset_ms = coalesce(excluded.clock_offset_ms, d.clock_offset_ms),
      oldest_pending_at = CASE WHEN excluded.pending IS NULL THEN d.oldest_pending_at
        ELSE excluded.oldest_pending_at END,
      pending = coalesce(excluded.pending, d.pending),
      revoked_at = coalesce(d.revoked_at, excluded.revoked_at),
      updated_at = now();
  END IF;

  IF p_scopes IS NOT NULL THEN
    INSERT INTO scope_minute AS m (tenant_id, scope, minute, epoch, sequence, first_sequence, first_at,
      last_at)
    SELECT s."tenantId", s.scope, s.minute, s.epoch, s.sequence, s."firstSequence", s."firstAt", s."lastAt"
    FROM json_to_recordset(p_scopes) AS s ("tenantId" text, scope text, minute timestamptz, epoch text,
      sequence bigint, "firstSequence" bigint, "firstAt" timestamptz, "lastAt" timestamptz)
    ORDER BY s."tenantId" COLLATE "C", s.scope COLLATE "C", s.minute
    ON CONFLICT (tenant_id, scope, minute) DO UPDATE SET
      first_sequence = CASE WHEN m.epoch = excluded.epoch THEN m.first_sequence
        ELSE excluded.first_sequence END,
      first_at = CASE WHEN m.epoch = excluded.epoch THEN m.first_at ELSE excluded.first_at END,
      epoch = excluded.epoch, sequence = excluded.sequence, last_at = excluded.last_at
      WHERE m.epoch <> excluded.epoch OR m.sequence < excluded.sequence;
  END IF;

  IF p_cursors IS NOT NULL THEN
    INSERT INTO device_cursor AS c (tenant_id, device_id, scope, epoch, sequence, acked_at)
    SELECT s."tenantId", s."deviceId", s.scope, s.epoch, s.sequence, s."ackedAt"
    FROM json_to_recordset(p_cursors) AS s ("tenantId" text, "deviceId" text, scope text, epoch text,
      sequence bigint, "ackedAt" timestamptz)
    ORDER BY s."tenantId" COLLATE "C", s."deviceId" COLLATE "C", s.scope COLLATE "C"
    ON CONFLICT (tenant_id, device_id, scope) DO UPDATE SET
      epoch = excluded.epoch, sequence = excluded.sequence, acked_at = excluded.acked_at
      WHERE c.epoch <> excluded.epoch OR c.sequence < excluded.sequence;
  END IF;

  -- Revocations and purges are rare: one by one, by key. Joined with all of them, the planner (which under
  -- row level security expects one row of a tenant) would read all cursors of the tenant for each.
  FOR r IN SELECT * FROM json_to_recordset(p_revoked)
    AS s ("tenantId" text, "userId" text, scope text, owed boolean)
  LOOP
    UPDATE device_cursor c SET purge_owed = r.owed
      WHERE c.tenant_id = r."tenantId" AND c.scope = r.scope AND c.device_id = ANY (ARRAY(
        SELECT d.device_id FROM device d WHERE d.tenant_id = r."tenantId" AND d.user_id = r."userId"));
  END LOOP;
  FOR r IN SELECT * FROM json_to_recordset(p_purged) AS s ("tenantId" text, "deviceId" text, scope text)
  LOOP
    DELETE FROM device_cursor c
      WHERE c.tenant_id = r."tenantId" AND c.device_id = r."deviceId" AND c.scope = r.scope;
  END LOOP;

  IF p_incidents IS NOT NULL THEN
    INSERT INTO device_incident (tenant_id, device_id, event_id, kind, at)
    SELECT s."tenantId", s."deviceId", s."eventId", s.kind, s.at
    FROM json_to_recordset(p_incidents) AS s ("tenantId" text, "deviceId" text, "eventId" text, kind text,
      at timestamptz)
    ON CONFLICT DO NOTHING;
  END IF;
END $$;
