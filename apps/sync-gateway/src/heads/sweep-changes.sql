-- What changed since a replica's last look, for what it has in its memory. Answered rows, by `kind`:
--   partition  ingest counter now: `place` is the partition, `number` the count
--   scope      (tenant_id, name): its head moved        user  (tenant_id, name): its grants changed
--   device     its fingerprint is no longer the known one; `place` counts from 1 in the order of p_users
-- At most p_limit scopes and users each per partition: one more than the caller is willing to look at tells
-- that there are too many.
--
-- p_seen: counts by partition (p_partitions), null on a first look. p_tenants: the tenants of all that is in
-- memory, for row level security. Devices come with what is known of them (p_known), grouped by tenant:
-- p_tenant_ids[i] owns the places after p_until[i - 1] up to p_until[i].
CREATE OR REPLACE FUNCTION sweep_changes(
  p_partitions integer[], p_seen bigint[], p_tenants text, p_limit integer,
  p_tenant_ids text[], p_until integer[], p_users text[], p_devices text[], p_known text[]
) RETURNS TABLE (kind text, tenant_id text, name text, place integer, number bigint)
LANGUAGE plpgsql
-- Planned anew each time: only the values tell that next to nothing lies behind the last number, which makes
-- its index the right one.
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_head ingest_head;
  v_after bigint;
  v_from integer := 1;
BEGIN
  PERFORM set_config('app.tenant', p_tenants, true);
  FOR v_head IN SELECT h.* FROM ingest_head h LOOP
    RETURN QUERY SELECT 'partition', NULL::text, NULL::text, v_head.partition, v_head.number;
    v_after := CASE WHEN p_seen IS NOT NULL
      THEN coalesce(p_seen[array_position(p_partitions, v_head.partition)], 0) END;
    CONTINUE WHEN v_after IS NULL OR v_after = v_head.number OR p_tenants = '';
    RETURN QUERY SELECT 'scope', h.tenant_id, h.scope, NULL::integer, NULL::bigint FROM scope_head h
      WHERE h.ingest_partition = v_head.partition AND h.ingest_number > v_after LIMIT p_limit;
    RETURN QUERY SELECT DISTINCT 'user', g.tenant_id, g.user_id, NULL::integer, NULL::bigint
      FROM scope_grant g
      WHERE g.ingest_partition = v_head.partition AND g.ingest_number > v_after LIMIT p_limit;
  END LOOP;
  FOR i IN 1 .. cardinality(p_tenant_ids) LOOP
    -- One tenant at a time: with the whole list set, its comparison would be repeated for every row looked
    -- up.
    PERFORM set_config('app.tenant', p_tenant_ids[i], true);
    RETURN QUERY SELECT 'device', NULL::text, NULL::text, v_from + c.place - 1, NULL::bigint
      FROM changed_devices(p_tenant_ids[i], p_users[v_from : p_until[i]], p_devices[v_from : p_until[i]],
        p_known[v_from : p_until[i]]) c;
    v_from := p_until[i] + 1;
  END LOOP;
END $$;

-- Places of the devices of a tenant whose fingerprint is no longer the known one. It is the same text as
-- device_fingerprint (pull.sql), spelled out: a function call per device took ten times as long.
CREATE OR REPLACE FUNCTION changed_devices(p_tenant text, p_users text[], p_devices text[], p_known text[])
RETURNS TABLE (place integer)
LANGUAGE plpgsql
AS $$
BEGIN
  RETURN QUERY
    SELECT k.place::integer
    FROM unnest(p_users, p_devices, p_known) WITH ORDINALITY AS k (user_id, device_id, known, place)
    CROSS JOIN LATERAL (
      SELECT count(*) AS copies, max(c.changed_at) AS changed_at FROM device_scope c
      WHERE c.tenant_id = p_tenant AND c.user_id = k.user_id AND c.device_id = k.device_id) d
    WHERE k.known IS DISTINCT FROM concat_ws(' ', d.copies, d.changed_at, EXISTS (
        SELECT FROM mutation m
        WHERE m.tenant_id = p_tenant AND m.user_id = k.user_id AND m.device_id = k.device_id
          AND m.terminal_at IS NOT NULL AND m.acked_at IS NULL) OR EXISTS (
        SELECT FROM outcome_asker a
        CROSS JOIN LATERAL (
          SELECT m.terminal_at FROM mutation m
          WHERE m.tenant_id = p_tenant AND m.mutation_id = a.mutation_id LIMIT 1) m
        WHERE a.tenant_id = p_tenant AND a.user_id = k.user_id AND a.device_id = k.device_id
          AND m.terminal_at IS NOT NULL));
END $$;
