-- Writes the heads of a batch, then gives every scope its positions: one round trip.
--
-- Entities that load_heads did not find are inserted; if somebody else has inserted one of them meanwhile (a
-- backfill beside the events), the whole transaction is started over with 40001 and finds it. Those it found
-- are locked by it. Only then come the scopes, in key order, new ones among the others: entity heads before
-- scope heads, everywhere, is what keeps workers from deadlock. A scope's row stays locked until the commit,
-- so its positions have no gap and follow the order of commits.
--
-- Everything is an upsert, because an upsert has only one plan: see load-heads.sql for what becomes of a
-- join.
--
-- p_scopes: per scope the number of its deltas, the change of its live count and of its digest. Returned: the
-- scopes after the batch, so that its deltas got the positions (sequence - deltas, sequence].
CREATE OR REPLACE FUNCTION save_projection(
  p_inserted json, p_updated json, p_scopes json, p_epoch text
) RETURNS TABLE (tenant_id text, scope text, epoch text, sequence bigint, live_count bigint, digest text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_written integer;
BEGIN
  IF p_inserted IS NOT NULL THEN
    INSERT INTO entity_head (tenant_id, entity_type, entity_id, revision, schema_version,
      deleted, clock, last_data,
                             scopes, left_scopes, grants, field_writes, committed_at, projected_at)
      SELECT n.t, n.y, n.i, n.revision, n.schema, n.deleted, n.clock, n.data, n.scopes, n."left",
        n.grants, n.writes, n.committed, now()
      FROM json_to_recordset(p_inserted) AS n (
        t text, y text, i text, revision bigint, schema integer, deleted boolean, clock json,
        data json, scopes text[],
        "left" text[], grants json, writes json, committed timestamptz)
      ORDER BY n.t COLLATE "C", n.y COLLATE "C", n.i COLLATE "C"
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF v_written <> json_array_length(p_inserted) THEN
      RAISE EXCEPTION 'another projection has just created one of these entities' USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;

  IF p_updated IS NOT NULL THEN
    INSERT INTO entity_head AS h (tenant_id, entity_type, entity_id, revision, schema_version,
      deleted, clock, last_data,
                                  scopes, left_scopes, grants, field_writes, committed_at, projected_at)
      SELECT n.t, n.y, n.i, n.revision, n.schema, n.deleted, n.clock, n.data, n.scopes, n."left",
        n.grants, n.writes, n.committed, now()
      FROM json_to_recordset(p_updated) AS n (
        t text, y text, i text, revision bigint, schema integer, deleted boolean, clock json,
        data json, scopes text[],
        "left" text[], grants json, writes json, committed timestamptz)
      ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET
        revision = excluded.revision, schema_version = excluded.schema_version, deleted = excluded.deleted,
        clock = excluded.clock, last_data = excluded.last_data, scopes = excluded.scopes,
        left_scopes = excluded.left_scopes, grants = excluded.grants, field_writes = excluded.field_writes,
        committed_at = greatest(h.committed_at, excluded.committed_at), projected_at = excluded.projected_at;
  END IF;

  IF p_scopes IS NULL THEN RETURN; END IF;
  RETURN QUERY
    INSERT INTO scope_head AS h (tenant_id, scope, epoch, sequence, live_count, digest)
      SELECT n.t, n.s, p_epoch, n.deltas, n.count, n.digest
      FROM json_to_recordset(p_scopes) AS n (t text, s text, deltas integer, count integer, digest numeric)
      ORDER BY n.t COLLATE "C", n.s COLLATE "C"
      ON CONFLICT (tenant_id, scope) DO UPDATE SET
        sequence = h.sequence + excluded.sequence,
        live_count = h.live_count + excluded.live_count,
        digest = mod(h.digest + excluded.digest,
                     115792089237316195423570985008687907853269984665640564039457584007913129639936)
      RETURNING h.tenant_id, h.scope, h.epoch, h.sequence, h.live_count, h.digest::text;
END $$;
