-- Notes that a device was revoked and reports it, once however often and by however many replicas it is
-- called. Its open tickets end.
CREATE OR REPLACE FUNCTION note_revocation(
  p_tenant text, p_user text, p_device text, p_revoked_at timestamptz, p_event_id text, p_partition integer
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  DELETE FROM live_ticket t WHERE t.tenant_id = p_tenant AND t.user_id = p_user AND t.device_id = p_device;
  INSERT INTO device_revocation AS r (tenant_id, user_id, device_id, revoked_at)
    VALUES (p_tenant, p_user, p_device, p_revoked_at)
    ON CONFLICT (tenant_id, user_id, device_id) DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM sync_append_outbox('SYNC_EVENTS', p_partition,
    json_build_array(gateway_event('sync.device.revoked.v1',
    p_tenant, p_user, p_device, json_build_object('revokedAt',
      to_char(p_revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), p_event_id))::text);
  RETURN true;
END $$;
