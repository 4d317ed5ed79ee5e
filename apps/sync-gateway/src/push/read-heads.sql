-- Entities as devices see them, for mutations whose owner was ahead of the read model. p_items: [{place, scope, type, eid}]; nothing is
-- answered for an entity that the scope does not have, or for a scope that the user does not hold.
CREATE OR REPLACE FUNCTION read_heads(p_tenant text, p_user text, p_items json)
RETURNS TABLE (
  place integer, head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT i.place, e.revision, e.deleted, e.clock, e.field_writes::text, e.wire
  FROM json_to_recordset(p_items) AS i (place integer, scope text, type text, eid text)
  JOIN scope_delta e ON e.tenant_id = p_tenant AND e.scope = i.scope AND e.entity_type = i.type AND e.entity_id = i.eid
  WHERE holds_scope(p_tenant, p_user, i.scope);
END $$;
