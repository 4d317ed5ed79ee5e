-- Creates the heads of entities, in key order. Columns are arrays; JSON and lists are one line each,
-- empty where there is none: as JSON objects they were parsed twice.
--
-- p_ahead: the tenants of the transaction, when nobody has looked for these heads because their events
-- say that the entities are new. False: one of them is there already, or quarantined, and nothing was
-- written. They are looked for then. Looking first took half as long as writing, and nearly always there
-- was nothing.
--
-- Without it load_heads has not found them. If somebody else has created one meanwhile (a backfill beside
-- the events) the whole transaction is started over with 40001, and finds it.
--
-- A plain insert in a block of its own: ON CONFLICT DO NOTHING looks for each row first, which took a
-- fifth more, and does not say which rows it left out.
CREATE OR REPLACE FUNCTION create_heads(
  p_ahead text, p_tenants text[], p_types text[], p_ids text[], p_revisions bigint[], p_schemas integer[],
  p_deleted boolean[], p_committed timestamptz[], p_clocks text, p_data text, p_scopes text, p_left text,
  p_grants text, p_writes text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF p_ahead IS NOT NULL THEN
    PERFORM set_projected_tenants(p_ahead);
    IF EXISTS (SELECT FROM quarantine) AND EXISTS (
      SELECT FROM unnest(p_tenants, p_types, p_ids) AS k (t, y, i) CROSS JOIN LATERAL (
        SELECT FROM quarantine q
        WHERE q.tenant_id = k.t AND q.entity_type = k.y AND q.entity_id = k.i LIMIT 1) held)
    THEN RETURN false; END IF;
  END IF;
  INSERT INTO entity_head (tenant_id, entity_type, entity_id, revision, schema_version, deleted, clock,
    last_data, scopes, left_scopes, grants, field_writes, committed_at, projected_at)
  SELECT n.t, n.y, n.i, n.revision, n.schema, n.deleted, n.clock::json, nullif(n.data, '')::json,
    coalesce(string_to_array(n.scopes, ' '), '{}'), string_to_array(nullif(n."left", ''), ' '),
    nullif(n.grants, '')::json, nullif(n.writes, '')::json, n.committed, now()
  FROM ROWS FROM (
    unnest(p_tenants), unnest(p_types), unnest(p_ids), unnest(p_revisions), unnest(p_schemas),
    unnest(p_deleted), unnest(p_committed), string_to_table(p_clocks, E'\n'), string_to_table(p_data, E'\n'),
    string_to_table(p_scopes, E'\n'), string_to_table(p_left, E'\n'), string_to_table(p_grants, E'\n'),
    string_to_table(p_writes, E'\n')
  ) AS n (t, y, i, revision, schema, deleted, committed, clock, data, scopes, "left", grants, writes)
  ORDER BY n.t COLLATE "C", n.y COLLATE "C", n.i COLLATE "C";
  RETURN true;
EXCEPTION WHEN unique_violation THEN
  IF p_ahead IS NOT NULL THEN RETURN false; END IF;
  RAISE EXCEPTION 'another projection has just created one of these entities'
    USING ERRCODE = 'serialization_failure';
END $$;
