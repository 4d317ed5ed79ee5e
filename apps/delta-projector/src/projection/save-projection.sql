-- Writes the heads of a batch, then gives every scope its positions: one round trip.
--
-- Entities that load_heads did not find are inserted; if somebody else has inserted one of them meanwhile (a backfill beside the
-- events), the whole transaction is started over with 40001 and finds it. Those it found are locked by it, so the UPDATE cannot wait.
-- Only then come the scopes, in key order: entity heads before scope heads, everywhere, is what keeps workers from deadlock.
-- Missing scope heads are inserted before any existing one is locked, for the same reason.
--
-- p_scopes: per scope the number of its deltas, the change of its live count and of its digest. Returned: the scopes after the batch, so
-- that its deltas got the positions (sequence - deltas, sequence].
CREATE OR REPLACE FUNCTION save_projection(
  p_inserted json, p_updated json, p_scopes json, p_epoch text
) RETURNS TABLE (tenant_id text, scope text, epoch text, sequence bigint, live_count bigint, digest text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_written integer;
BEGIN
  IF p_inserted IS NOT NULL THEN
    INSERT INTO entity_head (tenant_id, entity_type, entity_id, revision, schema_version, deleted, clock, last_data, scopes,
                             grants, field_writes, committed_at, projected_at)
      SELECT n.t, n.y, n.i, n.revision, n.schema, n.deleted, n.clock, n.data, n.scopes, n.grants, n.writes, n.committed, now()
      FROM json_to_recordset(p_inserted) AS n (
        t text, y text, i text, revision bigint, schema integer, deleted boolean, clock json, data json, scopes text[],
        grants json, writes json, committed timestamptz)
      ORDER BY n.t COLLATE "C", n.y COLLATE "C", n.i COLLATE "C"
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF v_written <> json_array_length(p_inserted) THEN
      RAISE EXCEPTION 'another projection has just created one of these entities' USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;

  IF p_updated IS NOT NULL THEN
    UPDATE entity_head h SET
      revision = n.revision, schema_version = n.schema, deleted = n.deleted, clock = n.clock, last_data = n.data,
      scopes = n.scopes, grants = n.grants, field_writes = n.writes, committed_at = n.committed, projected_at = now()
      FROM json_to_recordset(p_updated) AS n (
        t text, y text, i text, revision bigint, schema integer, deleted boolean, clock json, data json, scopes text[],
        grants json, writes json, committed timestamptz)
      WHERE h.tenant_id = n.t AND h.entity_type = n.y AND h.entity_id = n.i;
  END IF;

  IF p_scopes IS NULL THEN RETURN; END IF;
  INSERT INTO scope_head (tenant_id, scope, epoch, sequence, live_count, digest)
    SELECT n.t, n.s, p_epoch, 0, 0, 0 FROM json_to_recordset(p_scopes) AS n (t text, s text)
    WHERE NOT EXISTS (SELECT FROM scope_head h WHERE h.tenant_id = n.t AND h.scope = n.s)
    ORDER BY n.t COLLATE "C", n.s COLLATE "C"
    ON CONFLICT DO NOTHING;
  PERFORM FROM scope_head h
    JOIN json_to_recordset(p_scopes) AS n (t text, s text) ON h.tenant_id = n.t AND h.scope = n.s
    ORDER BY h.tenant_id, h.scope
    FOR UPDATE OF h;
  RETURN QUERY
    UPDATE scope_head h SET
      sequence = h.sequence + n.deltas,
      live_count = h.live_count + n.count,
      digest = mod(h.digest + n.digest, 115792089237316195423570985008687907853269984665640564039457584007913129639936)
    FROM json_to_recordset(p_scopes) AS n (t text, s text, deltas integer, count integer, digest numeric)
    WHERE h.tenant_id = n.t AND h.scope = n.s
    RETURNING h.tenant_id, h.scope, h.epoch, h.sequence, h.live_count, h.digest::text;
END $$;
