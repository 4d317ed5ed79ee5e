-- Tickets: one use, by deleting. `id` is the hash of the secret that the device got, so that this table opens
-- no socket.

CREATE OR REPLACE FUNCTION issue_ticket(
  p_tenant text, p_user text, p_device text, p_id text, p_lifetime_ms integer, p_max integer
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  -- One after the other: requests at the same time would not see each other's tickets and pass the bound
  -- together.
  PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant || chr(1) || p_device, 0));
  INSERT INTO live_ticket (id, tenant_id, user_id, device_id, expires_at)
    SELECT p_id, p_tenant, p_user, p_device, clock_timestamp() + p_lifetime_ms * interval '1 millisecond'
    WHERE (SELECT count(*) FROM live_ticket t
           WHERE t.tenant_id = p_tenant AND t.user_id = p_user AND t.device_id = p_device
             AND t.expires_at > clock_timestamp()) < p_max;
  RETURN FOUND;
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
END $$;

CREATE OR REPLACE FUNCTION scopes_of_user(p_tenant text, p_user text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT held_scopes(p_tenant, p_user);
END $$;
