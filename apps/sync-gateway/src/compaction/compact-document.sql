-- Compaction of a document in the read model (see document-parts.ts), in two calls with the squashing in
-- between, which holds no lock.

-- The document's parts and its newest delta, in order, up to p_bytes of them (two at least), and the epoch of
-- the scope that they were read in.
CREATE OR REPLACE FUNCTION read_document(p_tenant text, p_scope text, p_type text, p_id text, p_bytes bigint)
RETURNS TABLE (epoch text, sequence bigint, update text)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  -- One statement, one snapshot.
  RETURN QUERY
    WITH part AS (
      SELECT p.sequence, p.wire FROM scope_document_part p
      WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.entity_type = p_type AND p.entity_id = p_id
      UNION ALL
      SELECT d.sequence, d.wire FROM scope_delta d
      WHERE d.tenant_id = p_tenant AND d.scope = p_scope AND d.entity_type = p_type
        AND d.entity_id = p_id AND NOT d.deleted
    ), placed AS (
      SELECT p.sequence, p.wire, row_number() OVER w AS place, sum(octet_length(p.wire)) OVER w AS bytes
      FROM part p WINDOW w AS (ORDER BY p.sequence)
    )
    SELECT (SELECT h.epoch FROM scope_head h WHERE h.tenant_id = p_tenant AND h.scope = p_scope
      ORDER BY h.origin LIMIT 1),
           p.sequence, p.wire::json ->> 'update'
    FROM placed p WHERE p.place <= 2 OR p.bytes <= p_bytes
    ORDER BY p.sequence;
END $$;

-- Puts p_update in the place of everything up to p_upto. Answers false, and changes nothing, when that is not
-- what was read any more: a whole document, a deletion or a new epoch came, or another replica went further.
-- Increments that came meanwhile stay behind it.
--
-- Order of locks as in ingest_deltas: head, deltas. Cursors below p_upto are given the whole document, those
-- at or above it nothing: neither misses anything.
CREATE OR REPLACE FUNCTION compact_document(
  p_tenant text, p_scope text, p_type text, p_id text, p_epoch text, p_upto bigint, p_update text
) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
DECLARE
  v_epoch text;
  v_part scope_document_part;
  v_wire text;
  v_is_newest boolean;
  v_tail text;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  SELECT h.epoch INTO v_epoch FROM scope_head h WHERE h.tenant_id = p_tenant AND h.scope = p_scope
    ORDER BY h.origin LIMIT 1 FOR UPDATE;
  IF v_epoch IS DISTINCT FROM p_epoch THEN RETURN false; END IF;
  SELECT d.wire INTO v_wire FROM scope_delta d
    WHERE d.tenant_id = p_tenant AND d.scope = p_scope AND d.entity_type = p_type AND d.entity_id = p_id
      AND d.sequence = p_upto AND NOT d.deleted;
  v_is_newest := FOUND;
  IF NOT v_is_newest THEN
    SELECT p.* INTO v_part FROM scope_document_part p
      WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.sequence = p_upto
        AND p.entity_type = p_type AND p.entity_id = p_id;
    IF NOT FOUND THEN RETURN false; END IF;
    v_wire := v_part.wire;
  END IF;
  -- The projector writes `update` last, so the rest of the text stays byte for byte what it was.
  v_tail := '"update":"' || (v_wire::json ->> 'update') || '"}';
  IF right(v_wire, length(v_tail)) <> v_tail THEN RAISE EXCEPTION 'the delta at % does not end with its update', p_upto; END IF;
  v_wire := left(v_wire, length(v_wire) - length(v_tail)) || '"update":"' || p_update || '"}';
  IF v_is_newest THEN
    UPDATE scope_delta d SET wire = v_wire
      WHERE d.tenant_id = p_tenant AND d.scope = p_scope AND d.entity_type = p_type AND d.entity_id = p_id;
  ELSE
    UPDATE scope_document_part p
      SET place = p.place - v_part.place, weight = p.weight - v_part.weight,
          wire = CASE WHEN p.sequence = p_upto THEN v_wire ELSE p.wire END
      WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.entity_type = p_type AND p.entity_id = p_id
        AND p.place >= v_part.place;
  END IF;
  DELETE FROM scope_document_part p
    WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.entity_type = p_type AND p.entity_id = p_id
      AND p.sequence < p_upto;
  RETURN true;
END $$;

-- Documents that ought to be compacted and were not, because the replica that was told so stopped.
CREATE OR REPLACE FUNCTION due_documents(p_tenant text, p_limit integer)
RETURNS TABLE (scope text, entity_type text, entity_id text)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
    SELECT DISTINCT p.scope, p.entity_type, p.entity_id FROM scope_document_part p
    WHERE p.tenant_id = p_tenant AND (p.place >= 64 OR p.weight >= 262144)
    LIMIT p_limit;
END $$;
