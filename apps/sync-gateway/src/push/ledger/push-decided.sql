-- Keeps what was decided about mutations before their owner is asked: p_decisions has one line per id,
-- {status, record} as JSON text. A crash between the owner's commit and push_complete leaves a change that
-- nobody decides again (the owner's inbox just answers), and the ConflictRecord of what it overwrote would be
-- lost. Waits for the disk: what the owner is about to commit must not outlive it.
--
-- Mutations of a received push are kept with it. When somebody spreads it at this moment, the first statement
-- waits for that and finds it gone, and the second finds its mutations.
CREATE OR REPLACE FUNCTION push_decided(p_tenant text, p_device text, p_ids uuid[],
  p_decisions text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off -- as in push-complete.sql
AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  UPDATE received_push r SET
    decided_ids = coalesce(r.decided_ids, '{}') || p_ids,
    decisions = concat_ws(E'\n', r.decisions, p_decisions)
    WHERE r.tenant_id = p_tenant AND r.device_id = p_device AND p_ids[1] = ANY (r.mutation_ids);
  IF FOUND THEN RETURN; END IF;
  UPDATE mutation m SET decision = i.decision
    FROM ROWS FROM (unnest(p_ids), string_to_table(p_decisions, E'\n')) AS i (id, decision)
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_ids) AND m.mutation_id = i.id
      AND m.device_id = p_device
      AND m.outcome IS NULL;
END $$;
