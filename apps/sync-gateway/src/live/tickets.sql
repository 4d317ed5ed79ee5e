-- Tickets: one use, by deleting. `id` is the hash of the secret that the device got, so that this table opens
-- no socket.

-- 'issued'; 'too_many' of the device are unused; 'replayed': the signature of the request was used before.
-- The same request may come again for a while: two windows of an app sign the same within one second, and a
-- request whose answer was lost is sent again.
CREATE OR REPLACE FUNCTION issue_ticket(
  p_tenant text, p_user text, p_device text, p_id text, p_lifetime_ms integer, p_max integer,
  p_signature text, p_repeat_ms integer
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  v_used_at timestamptz;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  -- One after the other: requests at the same time would not see each other's tickets and pass the bound
  -- together.
  PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant || chr(1) || p_device, 0));
  INSERT INTO ticket_request AS r (tenant_id, signature, used_at)
    VALUES (p_tenant, p_signature, clock_timestamp())
    ON CONFLICT (tenant_id, signature) DO UPDATE SET used_at = r.used_at
    RETURNING r.used_at INTO v_used_at;
  IF v_used_at + p_repeat_ms * interval '1 millisecond' < clock_timestamp() THEN RETURN 'replayed'; END IF;
  INSERT INTO live_ticket (id, tenant_id, user_id, device_id, expires_at)
    SELECT p_id, p_tenant, p_user, p_device, clock_timestamp() + p_lifetime_ms * interval '1 millisecond'
    WHERE (SELECT count(*) FROM live_ticket t
           WHERE t.tenant_id = p_tenant AND t.user_id = p_user AND t.device_id = p_device
             AND t.expires_at > clock_timestamp()) < p_max;
  RETURN CASE WHEN FOUND THEN 'issued' ELSE 'too_many' END;
END $$;

-- Also answers what the user holds: it is the first thing that a socket needs to know.
CREATE OR REPLACE FUNCTION redeem_ticket(p_tenant text, p_id text)
RETURNS TABLE (user_id text, device_id text, scopes text[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
    WITH taken AS (
      DELETE FROM live_ticket t WHERE t.tenant_id = p_tenant AND t.id = p_id
      RETURNING t.user_id, t.device_id, t.expires_at)
    SELECT t.user_id, t.device_id, ARRAY(SELECT held_scopes(p_tenant, t.user_id)) FROM taken t
    WHERE t.expires_at > clock_timestamp();
END $$;

CREATE OR REPLACE FUNCTION prune_tickets(p_tenant text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  DELETE FROM live_ticket t WHERE t.tenant_id = p_tenant AND t.expires_at < clock_timestamp();
  -- Twice the 300 s by which `created` may be off, and some more: older signatures are refused for their age.
  DELETE FROM ticket_request r
    WHERE r.tenant_id = p_tenant AND r.used_at < clock_timestamp() - interval '15 minutes';
END $$;

CREATE OR REPLACE FUNCTION scopes_of_user(p_tenant text, p_user text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT held_scopes(p_tenant, p_user);
END $$;
