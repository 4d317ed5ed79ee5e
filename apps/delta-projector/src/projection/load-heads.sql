-- First statement of a projection: sets the tenants of the transaction, locks the heads of the batch's entities in key order and
-- tells which of them are quarantined. One round trip. A tenant that is new is noted for the jobs that visit all of them.
--
-- Quarantine rows are locked too (FOR KEY SHARE), so that a replay, which takes them FOR UPDATE, and a consumer that is about to add
-- a dead letter of the same entity wait for each other: a letter can never slip in behind a replay that lifts the quarantine.
-- set_config stands in a statement of its own: row level security reads the setting when a query starts.
CREATE OR REPLACE FUNCTION load_heads(
  p_tenants text, p_tenant_ids text[], p_entity_types text[], p_entity_ids text[], p_replay boolean
) RETURNS TABLE (
  tenant_id text, entity_type text, entity_id text, quarantined boolean,
  revision bigint, schema_version integer, deleted boolean, clock json, last_data json,
  scopes text[], grants json, field_writes json
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenants, true);
  INSERT INTO known_tenant (id)
    SELECT t FROM unnest(string_to_array(p_tenants, ',')) AS t
    WHERE NOT EXISTS (SELECT FROM known_tenant k WHERE k.id = t) ORDER BY t COLLATE "C"
    ON CONFLICT DO NOTHING;
  RETURN QUERY
    SELECT h.tenant_id, h.entity_type, h.entity_id, false,
           h.revision, h.schema_version, h.deleted, h.clock, h.last_data, h.scopes, h.grants, h.field_writes
    FROM unnest(p_tenant_ids, p_entity_types, p_entity_ids) AS k (tenant_id, entity_type, entity_id)
    JOIN entity_head h
      ON h.tenant_id = k.tenant_id AND h.entity_type = k.entity_type AND h.entity_id = k.entity_id
    ORDER BY h.tenant_id, h.entity_type, h.entity_id
    FOR UPDATE OF h;
  -- Nearly always empty, and then this is all it costs.
  IF EXISTS (SELECT FROM quarantine) THEN
    IF p_replay THEN
      PERFORM FROM quarantine q
        JOIN unnest(p_tenant_ids, p_entity_types, p_entity_ids) AS k (tenant_id, entity_type, entity_id)
          ON q.tenant_id = k.tenant_id AND q.entity_type = k.entity_type AND q.entity_id = k.entity_id
        ORDER BY q.tenant_id, q.entity_type, q.entity_id
        FOR UPDATE OF q;
    ELSE
      RETURN QUERY
        SELECT q.tenant_id, q.entity_type, q.entity_id, true,
               NULL::bigint, NULL::integer, NULL::boolean, NULL::json, NULL::json, NULL::text[], NULL::json, NULL::json
        FROM quarantine q
        JOIN unnest(p_tenant_ids, p_entity_types, p_entity_ids) AS k (tenant_id, entity_type, entity_id)
          ON q.tenant_id = k.tenant_id AND q.entity_type = k.entity_type AND q.entity_id = k.entity_id
        ORDER BY q.tenant_id, q.entity_type, q.entity_id
        FOR KEY SHARE OF q;
    END IF;
  END IF;
END $$;
