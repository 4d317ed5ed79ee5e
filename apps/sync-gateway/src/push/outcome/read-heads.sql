-- Entities as devices see them, for mutations whose owner was ahead of the read model. p_items: [{place, scope, type, eid}]; nothing is
-- answered for an entity that the scope does not have, or for a scope that the user does not hold.
CREATE OR REPLACE FUNCTION read_heads(p_tenant text, p_user text, p_items json)
RETURNS TABLE (
  place integer, head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT i.place, e.revision, e.deleted, e.clock, e.field_writes::text, e.wire
  FROM json_to_recordset(p_items) AS i (place integer, scope text, type text, eid text)
  -- Only the primary key can serve it: see push-receive.sql.
  CROSS JOIN LATERAL (
    SELECT d.* FROM scope_delta d
    WHERE d.tenant_id = p_tenant AND d.scope = i.scope AND d.entity_type = i.type
      AND d.entity_id = i.eid LIMIT 1) e
  WHERE holds_scope(p_tenant, p_user, i.scope);
END $$;
