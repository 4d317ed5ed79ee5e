-- The newest entries of each record, newest first. p_limit is per record.
--
-- Plans: row level security and our own condition both name the tenant, and the planner multiplies them: it
-- expects one row of any tenant and takes whichever index is smaller, so that the chain's own (tenant,
-- position) was read from end to end for one record. Here only the index of records can serve: the id stands
-- as a range at the head of an order that every other one would have to sort for.
CREATE OR REPLACE FUNCTION conflict_histories(p_tenant text, p_ids uuid[], p_limit integer)
RETURNS TABLE (conflict_id uuid, entry text, hash text)
LANGUAGE plpgsql STABLE
SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT wanted.id, h.entry, h.hash
  FROM unnest(p_ids) AS wanted (id)
  CROSS JOIN LATERAL (
    SELECT c.entry, c.hash FROM conflict_history c
    WHERE c.tenant_id = p_tenant AND c.conflict_id >= wanted.id AND c.conflict_id <= wanted.id
    ORDER BY c.conflict_id DESC, c.position DESC LIMIT p_limit) h;
END $$;
