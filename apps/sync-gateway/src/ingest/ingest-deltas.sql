-- Applies DELTAS messages to the read model; called inside the consumer's transaction, which holds the leases
-- and moves the watermarks. The messages come taken apart (see DeltaBatch), each list in their order:
-- p_partitions where they came from, p_heads their heads, p_deltas their lists of deltas, p_wires one line
-- per delta, which is stored byte for byte as the projector wrote it and never parsed, those of two messages
-- parted by U+001E. p_begin: of which messages all deltas are of entities that begin with them.
--
-- Order of locks, the same in prune_tombstones: heads (sorted), deltas. It answers what changed, for hints,
-- by `kind`: 'scope' and 'user', 'number' with the count of this ingest for each partition, 'document' with
-- the address of one that ought to be compacted, and 'lag' with the milliseconds since the newest delta was
-- committed by its owner.
CREATE OR REPLACE FUNCTION ingest_deltas(
  p_partitions integer[], p_heads json, p_deltas json, p_wires text, p_begin boolean[]
) RETURNS TABLE (kind text, tenant_id text, name text, partition integer)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
#variable_conflict use_column
DECLARE
  v_tenants text;
  v_partitions integer[];
  v_numbers bigint[];  -- of this ingest, per partition of v_partitions
  v_counts bigint[];  -- the same, per message
  v_tenant text[];
  v_scope text[];
  v_after bigint[];  -- place of the last message of an older epoch: deltas up to there are void
  v_moved boolean[];
  v_documents boolean[];
BEGIN
  v_tenants := enter_tenants(p_heads);
  IF v_tenants IS NULL THEN RETURN; END IF;
  SELECT c.partitions, c.numbers INTO v_partitions, v_numbers FROM count_ingest(p_partitions) c;
  v_counts := ARRAY(SELECT v_numbers[array_position(v_partitions, m.partition)]
    FROM unnest(p_partitions) WITH ORDINALITY AS m (partition, place) ORDER BY m.place);
  SELECT array_agg(w.tenant_id), array_agg(w.scope), array_agg(w.after), array_agg(w.moved),
      array_agg(w.documents)
    INTO v_tenant, v_scope, v_after, v_moved, v_documents FROM write_heads(p_partitions, v_counts, p_heads) w;
  PERFORM forget_epoch(s.tenant_id, s.scope)
    FROM unnest(v_tenant, v_scope, v_moved) AS s (tenant_id, scope, moved) WHERE s.moved;
  IF true = ANY (v_documents) THEN
    PERFORM mark_documents(s.tenant_id, s.scope)
      FROM unnest(v_tenant, v_scope, v_documents) AS s (tenant_id, scope, documents) WHERE s.documents;
    RETURN QUERY SELECT 'document', k.tenant_id, k.address, NULL::integer FROM keep_document_parts(p_deltas,
      (SELECT string_agg(w, E'\n') FROM string_to_table(p_wires, E'\x1e') w WHERE w <> ''), v_tenant, v_scope,
      v_after) k;
  END IF;
  -- Message by message: deltas and wires then are side by side by themselves. Numbered and joined over all of
  -- them they took a fifth more.
  PERFORM write_deltas(m.list, m.wires, m.place, v_tenant, v_scope, v_after, p_begin[m.place])
    FROM ROWS FROM (json_array_elements(p_deltas), string_to_table(p_wires, E'\x1e'))
      WITH ORDINALITY AS m (list, wires, place);
  RETURN QUERY SELECT 'number', NULL::text, c.number::text, c.partition
    FROM unnest(v_partitions, v_numbers) AS c (partition, number);
  RETURN QUERY SELECT 'scope', s.tenant_id, s.scope, NULL::integer
    FROM unnest(v_tenant, v_scope) AS s (tenant_id, scope);
  RETURN QUERY SELECT 'user', g.tenant_id, g.user_id, NULL::integer
    FROM write_grants(p_partitions, v_counts, p_heads) g;
  RETURN QUERY SELECT 'lag', NULL::text, l.ms::text, NULL::integer FROM lag_of(p_heads) AS l (ms)
    WHERE l.ms IS NOT NULL;
END $$;

-- Sets the tenants of the messages for row level security. Answers them; null for none. The plan is kept:
-- Postgres would otherwise plan the INSERT anew each time, which takes a tenth of a millisecond.
CREATE OR REPLACE FUNCTION enter_tenants(p_heads json) RETURNS text
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_tenants text;
BEGIN
  SELECT string_agg(DISTINCT t.id, ',') INTO v_tenants FROM (
    SELECT s."tenantId" AS id FROM json_array_elements(p_heads) m,
      json_to_recordset(m -> 'scopes') AS s ("tenantId" text)
    UNION ALL
    SELECT g."tenantId" FROM json_array_elements(p_heads) m,
      json_to_recordset(m -> 'grants') AS g ("tenantId" text)
  ) t;
  IF v_tenants IS NULL THEN RETURN NULL; END IF;
  IF v_tenants !~ '^[A-Za-z0-9_,-]+$' THEN
    RAISE EXCEPTION 'a DELTAS message names an impossible tenant';
  END IF;
  PERFORM set_config('app.tenant', v_tenants, true);
  INSERT INTO known_tenant (id)
    SELECT t.id FROM unnest(string_to_array(v_tenants, ',')) AS t (id)
    WHERE NOT EXISTS (SELECT FROM known_tenant k WHERE k.id = t.id)
    ON CONFLICT DO NOTHING;
  RETURN v_tenants;
END $$;

-- Counts this ingest, once for each of its partitions.
CREATE OR REPLACE FUNCTION count_ingest(
  p_partitions integer[], OUT partitions integer[], OUT numbers bigint[]
)
LANGUAGE plpgsql AS $$
BEGIN
  WITH counted AS (
    INSERT INTO ingest_head AS h (partition, number)
      SELECT DISTINCT p, 1 FROM unnest(p_partitions) p ORDER BY p
      ON CONFLICT (partition) DO UPDATE SET number = h.number + 1
      RETURNING h.partition, h.number
  )
  SELECT array_agg(c.partition), array_agg(c.number) INTO partitions, numbers FROM counted c;
END $$;

-- Writes the newest head of each scope. Answers the scopes whose head was not older than the one that stood:
-- moved, to another epoch; after, the place of the last message of an older epoch; documents, it has some.
CREATE OR REPLACE FUNCTION write_heads(p_partitions integer[], p_counts bigint[], p_heads json)
RETURNS TABLE (tenant_id text, scope text, moved boolean, after bigint, documents boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH head AS (
    SELECT m.place, m.batch ->> 'origin' AS origin, s.*
    FROM json_array_elements(p_heads) WITH ORDINALITY AS m (batch, place),
      json_to_recordset(m.batch -> 'scopes')
        AS s ("tenantId" text, scope text, epoch text, sequence bigint, count bigint, hash text,
          documents boolean)
  ), last AS (
    SELECT DISTINCT ON (h."tenantId", h.scope) h.* FROM head h ORDER BY h."tenantId", h.scope, h.place DESC
  ), written AS (
    INSERT INTO scope_head AS o
      (tenant_id, scope, origin, epoch, sequence, live_count, hash, ingest_partition, ingest_number)
    SELECT l."tenantId", l.scope, l.origin, l.epoch, l.sequence, l.count, l.hash,
      p_partitions[l.place], p_counts[l.place]
    FROM last l ORDER BY l."tenantId", l.scope
    ON CONFLICT (tenant_id, scope, origin) DO UPDATE SET
      epoch = excluded.epoch, sequence = excluded.sequence, live_count = excluded.live_count,
      hash = excluded.hash,
      pruned_below = CASE WHEN o.epoch = excluded.epoch THEN o.pruned_below ELSE 0 END,
      ingest_partition = excluded.ingest_partition, ingest_number = excluded.ingest_number
    WHERE o.epoch <> excluded.epoch OR o.sequence <= excluded.sequence
    RETURNING new.tenant_id, new.scope, new.epoch, coalesce(old.epoch <> new.epoch, false) AS moved
  )
  SELECT w.tenant_id, w.scope, w.moved, coalesce(max(h.place) FILTER (WHERE h.epoch <> w.epoch), 0),
    coalesce(bool_or(h.documents), false)
  FROM written w
  LEFT JOIN head h ON h."tenantId" = w.tenant_id AND h.scope = w.scope
  GROUP BY w.tenant_id, w.scope, w.moved;
END $$;

-- Forgets a scope as it was before its projector was rebuilt.
CREATE OR REPLACE FUNCTION forget_epoch(p_tenant text, p_scope text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM scope_delta d WHERE d.tenant_id = p_tenant AND d.scope = p_scope;
  DELETE FROM scope_document_part p WHERE p.tenant_id = p_tenant AND p.scope = p_scope;
END $$;

CREATE OR REPLACE FUNCTION mark_documents(p_tenant text, p_scope text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE scope_head h SET documents = true
    WHERE h.tenant_id = p_tenant AND h.scope = p_scope AND NOT h.documents;
END $$;

-- The deltas of the message at p_place, of the scopes whose heads were written.
CREATE OR REPLACE FUNCTION deltas_of(
  p_list json, p_wires text, p_place bigint, p_tenants text[], p_scopes text[], p_after bigint[]
) RETURNS TABLE (tenant_id text, scope text, entity_type text, entity_id text, sequence bigint,
  revision bigint, deleted boolean, clock jsonb, field_writes jsonb, wire text)
LANGUAGE sql STABLE AS $$
  SELECT d."tenantId", d.scope, d."entityType", d."entityId", d.sequence, d.revision, d.deleted,
    d.clock, nullif(d."fieldWrites", 'null'), d.wire
  FROM ROWS FROM (
    json_to_recordset(p_list) AS ("tenantId" text, scope text, sequence bigint, "entityType" text,
      "entityId" text, revision bigint, deleted boolean, clock jsonb, "fieldWrites" jsonb),
    string_to_table(p_wires, E'\n')
  ) AS d ("tenantId", scope, sequence, "entityType", "entityId", revision, deleted, clock, "fieldWrites",
    wire)
  JOIN unnest(p_tenants, p_scopes, p_after) AS s (tenant_id, scope, after)
    ON s.tenant_id = d."tenantId" AND s.scope = d.scope AND p_place > s.after
$$;

-- Writes the deltas of a message. Where all its entities begin with it they are added without looking for
-- them; one that is there already, or comes twice, makes that write nothing. A wire that is missing violates
-- NOT NULL and stops the batch instead of a delta being dropped.
CREATE OR REPLACE FUNCTION write_deltas(
  p_list json, p_wires text, p_place bigint, p_tenants text[], p_scopes text[], p_after bigint[],
  p_begin boolean
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF p_begin THEN
    BEGIN
      INSERT INTO scope_delta
        (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted, clock, field_writes, wire)
      SELECT d.* FROM deltas_of(p_list, p_wires, p_place, p_tenants, p_scopes, p_after) d;
      RETURN;
    EXCEPTION WHEN unique_violation THEN
      -- As any other message.
    END;
  END IF;
  INSERT INTO scope_delta AS o
    (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted, clock, field_writes, wire)
  SELECT DISTINCT ON (d.tenant_id, d.scope, d.entity_type, d.entity_id) d.*
  FROM deltas_of(p_list, p_wires, p_place, p_tenants, p_scopes, p_after) d
  ORDER BY d.tenant_id, d.scope, d.entity_type, d.entity_id, d.sequence DESC
  ON CONFLICT (tenant_id, scope, entity_type, entity_id) DO UPDATE SET
    sequence = excluded.sequence, revision = excluded.revision, deleted = excluded.deleted,
    clock = excluded.clock,
    field_writes = excluded.field_writes, wire = excluded.wire, stored_at = excluded.stored_at
  WHERE excluded.sequence > o.sequence;
END $$;

-- Writes what was granted and taken. Answers the users whose grants changed.
CREATE OR REPLACE FUNCTION write_grants(p_partitions integer[], p_counts bigint[], p_heads json)
RETURNS TABLE (tenant_id text, user_id text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH changed AS (
    INSERT INTO scope_grant AS o (tenant_id, user_id, scope, source_type, source_id, granted, revision,
      ingest_partition, ingest_number)
    SELECT DISTINCT ON (g."tenantId", g."userId", g.scope, g."sourceType", g."sourceId")
      g."tenantId", g."userId", g.scope, g."sourceType", g."sourceId", g.granted, g.revision,
      p_partitions[m.place], p_counts[m.place]
    FROM json_array_elements(p_heads) WITH ORDINALITY AS m (batch, place),
      json_to_recordset(m.batch -> 'grants') AS g ("tenantId" text, "userId" text, scope text,
        "sourceType" text, "sourceId" text, granted boolean, revision bigint)
    ORDER BY g."tenantId", g."userId", g.scope, g."sourceType", g."sourceId", g.revision DESC, m.place DESC
    ON CONFLICT (tenant_id, user_id, scope, source_type, source_id) DO UPDATE SET
      granted = excluded.granted, revision = excluded.revision, changed_at = now(),
      ingest_partition = excluded.ingest_partition, ingest_number = excluded.ingest_number
    -- Equal revisions too: the same entity projected again under another grant rule.
    WHERE excluded.revision >= o.revision
    RETURNING new.tenant_id, new.user_id
  )
  SELECT DISTINCT c.tenant_id, c.user_id FROM changed c;
END $$;

-- Milliseconds since the newest delta was committed; null where no message says when.
CREATE OR REPLACE FUNCTION lag_of(p_heads json) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  RETURN (
    SELECT greatest(0, extract(epoch FROM clock_timestamp() - max((m ->> 'committedAt')::timestamptz)) * 1000)
    FROM json_array_elements(p_heads) m
    HAVING max((m ->> 'committedAt')::timestamptz) IS NOT NULL);
END $$;
