-- Keeps what was decided about mutations before their owner is asked: p_decisions has one line per id, {status, record} as JSON text. A crash between
-- the owner's commit and push_complete leaves a change that nobody decides again (the owner's inbox just answers), and the ConflictRecord of what it
-- overwrote would be lost. Waits for the disk: what the owner is about to commit must not outlive it.
CREATE OR REPLACE FUNCTION push_decided(p_tenant text, p_ids uuid[], p_decisions text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off -- as in push-complete.sql
AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  UPDATE mutation m SET decision = i.decision
    FROM ROWS FROM (unnest(p_ids), string_to_table(p_decisions, E'\n')) AS i (id, decision)
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_ids) AND m.mutation_id = i.id AND m.outcome IS NULL;
END $$;
