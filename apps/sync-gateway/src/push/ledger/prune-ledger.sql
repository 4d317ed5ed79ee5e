-- Forgets outcomes that are older than p_days, one small batch of some tenants (comma-separated): a mutation
-- that comes again after that is a new one for the gateway, and only its owner's inbox still knows it. What
-- has no outcome yet stays. Answers how many rows went.
CREATE OR REPLACE FUNCTION prune_ledger(p_tenants text, p_days integer, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  v_before timestamptz := now() - p_days * interval '1 day';
  v_removed integer;
BEGIN
  PERFORM set_config('app.tenant', p_tenants, true);
  -- received_at has a BRIN index; terminal_at decides.
  DELETE FROM mutation WHERE ctid = ANY (ARRAY(
    SELECT m.ctid FROM mutation m WHERE m.received_at < v_before AND m.terminal_at < v_before LIMIT p_limit));
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  DELETE FROM outcome_asker a
    WHERE a.asked_at < v_before
      AND NOT EXISTS (SELECT FROM mutation m WHERE m.tenant_id = a.tenant_id
        AND m.mutation_id = a.mutation_id);
  IF v_removed < p_limit THEN
    -- No outcome that shows one of these is left.
    DELETE FROM shown_entity s WHERE s.ctid = ANY (ARRAY(
      SELECT e.ctid FROM shown_entity e WHERE e.shown_at < v_before LIMIT p_limit));
    DELETE FROM refused_change r WHERE r.ctid = ANY (ARRAY(
      SELECT c.ctid FROM refused_change c WHERE c.refused_at < v_before LIMIT p_limit));
  END IF;
  RETURN v_removed;
END $$;
