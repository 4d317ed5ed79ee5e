-- Writes the heads of entities that load_heads has found and locked; the columns are those of create_heads.
--
-- An upsert, because an upsert has only one plan: see load-heads.sql for what becomes of a join.
CREATE OR REPLACE FUNCTION update_heads(
  p_tenants text[], p_types text[], p_ids text[], p_revisions bigint[], p_schemas integer[],
  p_deleted boolean[], p_committed timestamptz[], p_clocks text, p_data text, p_scopes text, p_left text,
  p_grants text, p_writes text
) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO entity_head AS h (tenant_id, entity_type, entity_id, revision, schema_version, deleted,
    clock, last_data, scopes, left_scopes, grants, field_writes, committed_at, projected_at)
  SELECT n.t, n.y, n.i, n.revision, n.schema, n.deleted, n.clock::json, nullif(n.data, '')::json,
    coalesce(string_to_array(n.scopes, ' '), '{}'), string_to_array(nullif(n."left", ''), ' '),
    nullif(n.grants, '')::json, nullif(n.writes, '')::json, n.committed, now()
  FROM ROWS FROM (
    unnest(p_tenants), unnest(p_types), unnest(p_ids), unnest(p_revisions), unnest(p_schemas),
    unnest(p_deleted), unnest(p_committed), string_to_table(p_clocks, E'\n'), string_to_table(p_data, E'\n'),
    string_to_table(p_scopes, E'\n'), string_to_table(p_left, E'\n'), string_to_table(p_grants, E'\n'),
    string_to_table(p_writes, E'\n')
  ) AS n (t, y, i, revision, schema, deleted, committed, clock, data, scopes, "left", grants, writes)
  ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
    revision = excluded.revision, schema_version = excluded.schema_version, deleted = excluded.deleted,
    clock = excluded.clock, last_data = excluded.last_data, scopes = excluded.scopes,
    left_scopes = excluded.left_scopes, grants = excluded.grants, field_writes = excluded.field_writes,
    committed_at = greatest(h.committed_at, excluded.committed_at), projected_at = excluded.projected_at
$$;
