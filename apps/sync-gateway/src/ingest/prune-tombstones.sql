-- Removes deletions that every device had p_days to see, one small batch of one tenant, and raises
-- `pruned_below` of their scopes: a cursor below it may have missed one of them and is answered with a full
-- resync. Answers how many rows went.
CREATE OR REPLACE FUNCTION prune_tombstones(p_tenant text, p_days integer, p_limit integer) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
DECLARE
  v_scopes text[];
  v_removed integer;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  SELECT array_agg(DISTINCT d.scope) INTO v_scopes FROM (
    SELECT d.scope FROM scope_delta d
    WHERE d.tenant_id = p_tenant AND d.deleted AND d.stored_at < now() - p_days * interval '1 day'
    ORDER BY d.stored_at LIMIT p_limit) d;
  IF v_scopes IS NULL THEN RETURN 0; END IF;
  -- Heads before deltas, sorted, as in ingest_deltas: the other order would deadlock with it.
  PERFORM FROM scope_head h WHERE h.tenant_id = p_tenant AND h.scope = ANY (v_scopes)
    ORDER BY h.scope FOR UPDATE;
  WITH old AS (
    SELECT d.scope, d.sequence FROM scope_delta d
    WHERE d.tenant_id = p_tenant AND d.scope = ANY (v_scopes) AND d.deleted
      AND d.stored_at < now() - p_days * interval '1 day'
    ORDER BY d.stored_at LIMIT p_limit
  ), removed AS (
    DELETE FROM scope_delta d USING old o
    WHERE d.tenant_id = p_tenant AND d.scope = o.scope AND d.sequence = o.sequence AND d.sequence > 0
    RETURNING d.scope, d.sequence
  ), raised AS (
    UPDATE scope_head h SET pruned_below = greatest(h.pruned_below, r.sequence)
    FROM (SELECT r.scope, max(r.sequence) AS sequence FROM removed r GROUP BY r.scope) r
    WHERE h.tenant_id = p_tenant AND h.scope = r.scope
  )
  SELECT count(*) INTO v_removed FROM removed;
  RETURN v_removed;
END $$;
