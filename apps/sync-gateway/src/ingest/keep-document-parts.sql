-- Keeps what the newest delta of a document does not hold by itself: called by ingest_deltas, and only for
-- messages that bring documents, before the newest deltas replace those before them. The arguments are those
-- of ingest_deltas, and the scopes that it writes.
--
-- A delta that is `whole` (a deletion too) makes everything before it superfluous; an increment leaves the
-- row that it replaces behind as a part. Answered are the documents that have so many or so heavy increments
-- that they ought to be compacted.
CREATE OR REPLACE FUNCTION keep_document_parts(
  p_deltas json, p_wires text, p_tenants text[], p_scopes text[], p_after bigint[]
) RETURNS TABLE (tenant_id text, address text)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
#variable_conflict use_column
DECLARE
  v_document record;
BEGIN
  FOR v_document IN SELECT d.* FROM documents_of(p_deltas, p_wires, p_tenants, p_scopes, p_after) d LOOP
    CONTINUE WHEN NOT keep_document(v_document.tenant, v_document.scope, v_document.type, v_document.id,
      v_document.sequences, v_document.documents, v_document.wires);
    tenant_id := v_document.tenant;
    address := json_build_object('scope', v_document.scope, 'entityType', v_document.type,
      'entityId', v_document.id)::text;
    RETURN NEXT;
  END LOOP;
END $$;

-- The documents that messages bring, each with all its deltas in order.
CREATE OR REPLACE FUNCTION documents_of(
  p_deltas json, p_wires text, p_tenants text[], p_scopes text[], p_after bigint[]
) RETURNS TABLE (tenant text, scope text, type text, id text, sequences bigint[], documents text[],
  wires text[])
LANGUAGE sql STABLE AS $$
  WITH delta AS (
    SELECT d.*, m.place, row_number() OVER (ORDER BY m.place, d.at) AS line
    FROM json_array_elements(p_deltas) WITH ORDINALITY AS m (list, place)
    CROSS JOIN LATERAL ROWS FROM (json_to_recordset(m.list) AS ("tenantId" text,
      scope text, sequence bigint, "entityType" text, "entityId" text, document text))
      WITH ORDINALITY AS d ("tenantId", scope, sequence, "entityType", "entityId", document, at)
  )
  SELECT d."tenantId", d.scope, d."entityType", d."entityId", array_agg(d.sequence ORDER BY d.sequence),
    array_agg(d.document ORDER BY d.sequence), array_agg(w.wire ORDER BY d.sequence)
  FROM delta d
  LEFT JOIN string_to_table(p_wires, E'\n') WITH ORDINALITY AS w (wire, line) ON w.line = d.line
  JOIN unnest(p_tenants, p_scopes, p_after) AS s (tenant_id, scope, after)
    ON s.tenant_id = d."tenantId" AND s.scope = d.scope AND d.place > s.after
  WHERE d.document IS NOT NULL
  GROUP BY d."tenantId", d.scope, d."entityType", d."entityId"
$$;

-- Keeps what the newest of a document's deltas does not hold by itself. Answers whether it ought to be
-- compacted.
CREATE OR REPLACE FUNCTION keep_document(
  p_tenant text, p_scope text, p_type text, p_id text,
  p_sequences bigint[], p_documents text[], p_wires text[]
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  v_stored scope_delta;
  v_newest bigint := p_sequences[cardinality(p_sequences)];
  v_whole bigint;
  v_place integer := -1;
  v_weight bigint := 0;
BEGIN
  SELECT o.* INTO v_stored FROM scope_delta o
    WHERE o.tenant_id = p_tenant AND o.scope = p_scope AND o.entity_type = p_type AND o.entity_id = p_id;
  -- Nothing of it is new: an older message came again.
  IF v_stored.sequence >= v_newest THEN RETURN false; END IF;
  SELECT max(n.sequence) INTO v_whole FROM unnest(p_sequences, p_documents) AS n (sequence, document)
    WHERE n.document = 'whole' AND n.sequence > coalesce(v_stored.sequence, 0);
  IF v_whole IS NOT NULL THEN
    DELETE FROM scope_document_part p WHERE p.tenant_id = p_tenant AND p.scope = p_scope
      AND p.entity_type = p_type AND p.entity_id = p_id;
  ELSE
    SELECT k.place, k.weight INTO v_place, v_weight
      FROM keep_stored(v_stored, p_tenant, p_scope, p_type, p_id) k;
  END IF;
  -- What this batch brought before its newest delta.
  INSERT INTO scope_document_part (tenant_id, scope, sequence, entity_type, entity_id, place, weight, wire)
    SELECT p_tenant, p_scope, n.sequence, p_type, p_id, v_place + row_number() OVER w,
      v_weight + sum(CASE WHEN n.document = 'whole' THEN 0 ELSE octet_length(n.wire) END) OVER w, n.wire
    FROM unnest(p_sequences, p_documents, p_wires) AS n (sequence, document, wire)
    WHERE n.sequence >= coalesce(v_whole, coalesce(v_stored.sequence, 0) + 1) AND n.sequence < v_newest
    WINDOW w AS (ORDER BY n.sequence);
  RETURN EXISTS (
    SELECT FROM scope_document_part p
    WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.entity_type = p_type AND p.entity_id = p_id
      AND (p.place >= 64 OR p.weight >= 262144));
END $$;

-- Keeps the delta that is about to be replaced as the last part of its document, unless it is a deletion.
-- Answers place and weight of the last part.
CREATE OR REPLACE FUNCTION keep_stored(
  p_stored scope_delta, p_tenant text, p_scope text, p_type text, p_id text,
  OUT place integer, OUT weight bigint
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  SELECT p.place, p.weight INTO place, weight FROM scope_document_part p
    WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.entity_type = p_type AND p.entity_id = p_id
    ORDER BY p.place DESC LIMIT 1;
  place := coalesce(place, -1);
  weight := coalesce(weight, 0);
  IF coalesce(p_stored.deleted, true) THEN RETURN; END IF;
  place := place + 1;
  weight := weight + CASE WHEN place = 0 THEN 0 ELSE octet_length(p_stored.wire) END;
  INSERT INTO scope_document_part (tenant_id, scope, sequence, entity_type, entity_id, place, weight, wire)
    SELECT p_tenant, p_scope, p_stored.sequence, p_type, p_id, keep_stored.place, keep_stored.weight,
      p_stored.wire;
END $$;
