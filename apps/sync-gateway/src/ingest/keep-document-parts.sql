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
  v_stored scope_delta;
  v_whole bigint;
  v_place integer;
  v_weight bigint;
BEGIN
  FOR v_document IN
    WITH delta AS (
      SELECT d.*, m.place, row_number() OVER (ORDER BY m.place, d.at) AS line
      FROM json_array_elements(p_deltas) WITH ORDINALITY AS m (list, place)
      CROSS JOIN LATERAL ROWS FROM (json_to_recordset(m.list) AS ("tenantId" text,
        scope text, sequence bigint,
        "entityType" text, "entityId" text, document text))
        WITH ORDINALITY AS d ("tenantId", scope, sequence, "entityType", "entityId", document, at)
    )
    SELECT d."tenantId" AS tenant, d.scope, d."entityType" AS type, d."entityId" AS id,
           array_agg(d.sequence ORDER BY d.sequence) AS sequences,
           array_agg(d.document ORDER BY d.sequence) AS documents,
           array_agg(w.wire ORDER BY d.sequence) AS wires
    FROM delta d
    LEFT JOIN string_to_table(p_wires, E'\n') WITH ORDINALITY AS w (wire, line) ON w.line = d.line
    JOIN unnest(p_tenants, p_scopes, p_after) AS s (tenant_id, scope, after)
      ON s.tenant_id = d."tenantId" AND s.scope = d.scope AND d.place > s.after
    WHERE d.document IS NOT NULL
    GROUP BY d."tenantId", d.scope, d."entityType", d."entityId"
  LOOP
    SELECT o.* INTO v_stored FROM scope_delta o
      WHERE o.tenant_id = v_document.tenant AND o.scope = v_document.scope
        AND o.entity_type = v_document.type AND o.entity_id = v_document.id;
    -- Nothing of it is new: an older message came again.
    CONTINUE WHEN v_stored.sequence >= v_document.sequences[cardinality(v_document.sequences)];
    SELECT max(n.sequence) INTO v_whole FROM unnest(v_document.sequences,
      v_document.documents) AS n (sequence, document)
      WHERE n.document = 'whole' AND n.sequence > coalesce(v_stored.sequence, 0);
    IF v_whole IS NOT NULL THEN
      DELETE FROM scope_document_part p
        WHERE p.tenant_id = v_document.tenant AND p.scope = v_document.scope
          AND p.entity_type = v_document.type AND p.entity_id = v_document.id;
      v_place := -1;
      v_weight := 0;
    ELSE
      SELECT p.place, p.weight INTO v_place, v_weight FROM scope_document_part p
        WHERE p.tenant_id = v_document.tenant AND p.scope = v_document.scope
          AND p.entity_type = v_document.type AND p.entity_id = v_document.id
        ORDER BY p.place DESC LIMIT 1;
      v_place := coalesce(v_place, -1);
      v_weight := coalesce(v_weight, 0);
      IF NOT coalesce(v_stored.deleted, true) THEN
        v_place := v_place + 1;
        v_weight := v_weight + CASE WHEN v_place = 0 THEN 0 ELSE octet_length(v_stored.wire) END;
        INSERT INTO scope_document_part (tenant_id, scope, sequence, entity_type, entity_id,
          place, weight, wire)
          VALUES (v_stored.tenant_id, v_stored.scope, v_stored.sequence, v_stored.entity_type,
            v_stored.entity_id,
                  v_place, v_weight, v_stored.wire);
      END IF;
    END IF;
    -- What this batch brought before its newest delta.
    INSERT INTO scope_document_part (tenant_id, scope, sequence, entity_type, entity_id, place, weight, wire)
      SELECT v_document.tenant, v_document.scope, n.sequence, v_document.type, v_document.id,
             v_place + row_number() OVER w,
             v_weight + sum(CASE WHEN n.document = 'whole' THEN 0
               ELSE octet_length(n.wire) END) OVER w, n.wire
      FROM unnest(v_document.sequences, v_document.documents,
        v_document.wires) AS n (sequence, document, wire)
      WHERE n.sequence >= coalesce(v_whole, coalesce(v_stored.sequence, 0) + 1)
        AND n.sequence < v_document.sequences[cardinality(v_document.sequences)]
      WINDOW w AS (ORDER BY n.sequence);
    IF EXISTS (
      SELECT FROM scope_document_part p
      WHERE p.tenant_id = v_document.tenant AND p.scope = v_document.scope
        AND p.entity_type = v_document.type AND p.entity_id = v_document.id
          AND (p.place >= 64 OR p.weight >= 262144))
    THEN
      tenant_id := v_document.tenant;
      address := json_build_object('scope', v_document.scope, 'entityType', v_document.type, 'entityId',
      v_document.id)::text;
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;
