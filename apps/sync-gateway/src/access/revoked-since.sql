-- Whether a replica has noted a revocation of the device that may be younger than its verification. The two
-- times come from clocks of two services: within a minute of each other nobody can say which was first.
CREATE OR REPLACE FUNCTION revoked_since(p_tenant text, p_user text, p_device text, p_verified_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN EXISTS (SELECT FROM device_revocation r
    WHERE r.tenant_id = p_tenant AND r.user_id = p_user AND r.device_id = p_device
      AND r.revoked_at > p_verified_at - interval '1 minute');
END $$;
