-- One pull in one round trip: `pull` is what the gateway calls; it reads with `pull_read` and notes which
-- copies were begun.
--
-- The arrays describe the asked scopes in order (distinct); a null origin is a null cursor. p_scopes null
-- asks for everything held. Answered rows, by `kind`:
--   part       deltas of the page that the next row of kind scope ends, as JSON text without brackets in `items`
--   document   a part that is one delta of a document in p_documents: [{scope, type, id}], or null, which is nearly always so
--   scope      one per asked and held scope, in order: how many deltas the page has, and the head it stands under;
--              `reason` is null, or why a full resync starts: first, asked, unheld, epoch, retention, ahead,
--              digest_mismatch
--   revoked    asked but not held, or held by the device and no longer by the user
--   directive  a full resync that the server asks for; it is followed already when its page is in the same
--   answer
--   granted    held by the user, but neither asked for nor ever served to this device
--   outcomes   terminal outcomes not acked yet, as JSON text in `items`, at most 8 MiB (see
--              shown-outcomes.sql) unless it is one
--   device     `reason` is the device's fingerprint, for the gateway's memory

-- Tells whether anything that a pull must notice has changed for a device: its copies, or outcomes that wait.
CREATE OR REPLACE FUNCTION device_fingerprint(p_tenant text, p_user text, p_device text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT concat_ws(' ', count(*), max(d.changed_at), EXISTS (
      SELECT FROM mutation m
      WHERE m.tenant_id = p_tenant AND m.user_id = p_user AND m.device_id = p_device
        AND m.terminal_at IS NOT NULL AND m.acked_at IS NULL) OR EXISTS (
      SELECT FROM outcome_asker a
      CROSS JOIN LATERAL (
        SELECT m.terminal_at FROM mutation m WHERE m.tenant_id = p_tenant
          AND m.mutation_id = a.mutation_id LIMIT 1) m
      WHERE a.tenant_id = p_tenant AND a.user_id = p_user AND a.device_id = p_device
        AND m.terminal_at IS NOT NULL))
  FROM device_scope d WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device;
$$;

-- Terminal outcomes that the device has not acked, the oldest first: of its own mutations, and of those for
-- which it asked. Both are the user's own.
CREATE OR REPLACE FUNCTION waiting_outcomes(p_tenant text, p_user text, p_device text, p_limit integer)
RETURNS TABLE (outcome text, terminal_at timestamptz, mutation_id uuid, shows boolean, scope text)
LANGUAGE sql STABLE AS $$
  (SELECT m.outcome, m.terminal_at, m.mutation_id, m.status <> 'applied', m.scope FROM mutation m
   WHERE m.tenant_id = p_tenant AND m.user_id = p_user AND m.device_id = p_device
     AND m.terminal_at IS NOT NULL AND m.acked_at IS NULL
   ORDER BY m.terminal_at, m.mutation_id LIMIT p_limit)
  UNION ALL
  (SELECT m.outcome, m.terminal_at, m.mutation_id, m.status <> 'applied', m.scope FROM outcome_asker a
   CROSS JOIN LATERAL (
     SELECT k.* FROM mutation k
     WHERE k.tenant_id = p_tenant AND k.mutation_id = a.mutation_id AND k.user_id = p_user LIMIT 1) m
   WHERE a.tenant_id = p_tenant AND a.user_id = p_user AND a.device_id = p_device
     AND m.terminal_at IS NOT NULL)
  ORDER BY 2, 3 LIMIT p_limit
$$;

-- STABLE on purpose: every statement in it sees the snapshot of the calling statement, so deltas, head and
-- grants belong together although they are read by several small index scans. One large statement would do
-- the same and plan worse.
CREATE OR REPLACE FUNCTION pull_read(
  p_tenant text, p_user text, p_device text, p_scopes text[], p_origins text[], p_epochs text[],
  p_sequences bigint[], p_floors bigint[], p_generations bigint[], p_limit integer,
  p_outcomes integer, p_bytes integer,
  p_documents json
) RETURNS TABLE (
  kind text, scope text, reason text, items text, item_count integer, origin text,
  epoch text, sequence bigint,
  floor bigint, generation bigint, has_more boolean, live_count bigint, hash text
)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  v_held CONSTANT text[] := ARRAY(SELECT held_scopes(p_tenant, p_user));
  v_scopes CONSTANT text[] := coalesce(p_scopes, v_held[1:100]);
  v_left integer := p_limit;
  v_bytes integer := p_bytes;
  v_head scope_head;
  v_device device_scope;
  v_position bigint;
  v_wanted integer;
  v_count integer;
  -- Deltas in one part: texts of more than 128 KB cost two to three times as much as smaller ones, here (each
  -- copy gets new pages from the kernel) and in V8.
  c_part CONSTANT integer := 64;
  v_shows boolean;
  v_outcomes uuid[];
  v_outcome_bytes bigint;
  c_outcomes CONSTANT integer := 8388608;
BEGIN
  FOR i IN 1 .. cardinality(v_scopes) LOOP
    CONTINUE WHEN v_scopes[i] <> ALL (v_held);
    SELECT h.* INTO v_head FROM scope_head h WHERE h.tenant_id = p_tenant AND h.scope = v_scopes[i]
      ORDER BY h.origin LIMIT 1;
    IF NOT FOUND THEN
      -- Nothing was ever projected into it: position 0 of epoch 0, from which any first epoch can be read on.
      SELECT '', '0', 0, 0, repeat('0', 64), 0
        INTO v_head.origin, v_head.epoch, v_head.sequence, v_head.live_count, v_head.hash,
          v_head.pruned_below;
    END IF;
    SELECT d.* INTO v_device FROM device_scope d
      WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
        AND d.scope = v_scopes[i];
    generation := coalesce(v_device.generation, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    reason := CASE
      WHEN p_origins[i] IS NULL THEN CASE WHEN v_device.scope IS NULL THEN 'first' ELSE 'asked' END
      WHEN v_device.scope IS NULL THEN 'unheld'
      WHEN p_generations[i] <> generation THEN coalesce(v_device.resync_reason, 'unheld')
      WHEN p_epochs[i] = '0' THEN NULL
      WHEN p_origins[i] <> v_head.origin OR p_epochs[i] <> v_head.epoch THEN 'epoch'
      -- The device may have missed a deletion that is gone; a copy begun after that deletion cannot.
      WHEN greatest(p_sequences[i], p_floors[i]) < v_head.pruned_below THEN 'retention'
      WHEN p_sequences[i] > v_head.sequence THEN 'ahead'
    END;
    -- A copy that starts from nothing needs no deletion that was made before its start. One that was there
    -- before anything was projected is no such copy: its device may wait for the deletion of what it made
    -- itself.
    IF reason IS NULL THEN
      v_position := p_sequences[i];
      floor := p_floors[i];
    ELSE
      v_position := 0;
      floor := v_head.sequence;
    END IF;
    scope := v_scopes[i]; item_count := 0; has_more := false;
    IF v_position < v_head.sequence THEN
      WHILE v_left > 0 LOOP
        v_wanted := least(v_left, c_part);
        IF v_head.documents THEN
          SELECT string_agg(shown_wire(p_tenant, p_user, d.entity_type, d.wire), ','), count(*),
            max(d.sequence) INTO items, v_count, sequence
          FROM document_page(p_tenant, v_scopes[i], v_position, floor, v_wanted) d;
        ELSE
          SELECT string_agg(shown_wire(p_tenant, p_user, d.entity_type, d.wire), ','), count(*),
            max(d.sequence) INTO items, v_count, sequence FROM (
            SELECT d.entity_type, d.wire, d.sequence FROM scope_delta d
            WHERE d.tenant_id = p_tenant AND d.scope = v_scopes[i] AND d.sequence > 0
              AND d.sequence > v_position
              AND (NOT d.deleted OR d.sequence > floor)
            ORDER BY d.sequence LIMIT v_wanted) d;
        END IF;
        v_left := v_left - v_count;
        IF octet_length(items) > v_bytes THEN
          -- Rare, so only then running sums are worth their price. The first delta of a page always goes,
          -- however large.
          v_left := 0;
          SELECT string_agg(shown_wire(p_tenant, p_user, d.entity_type, d.wire), ','), count(*),
            max(d.sequence) INTO items, v_count, sequence FROM (
            SELECT d.entity_type, d.wire, d.sequence, row_number() OVER w AS place,
              sum(octet_length(d.wire)) OVER w AS bytes
            FROM document_page(p_tenant, v_scopes[i], v_position, floor, v_count) d
            WINDOW w AS (ORDER BY d.sequence)) d
          WHERE d.place + item_count = 1 OR d.bytes <= v_bytes;
        END IF;
        EXIT WHEN v_count = 0;
        v_bytes := v_bytes - octet_length(items);
        IF p_documents IS NULL OR NOT v_head.documents THEN
          kind := 'part'; RETURN NEXT;
        ELSE
          FOR kind, items IN
            SELECT CASE WHEN EXISTS (
                SELECT FROM json_to_recordset(p_documents) AS l (scope text, type text, id text)
                WHERE l.scope = v_scopes[i] AND l.type = d.entity_type AND l.id = d.entity_id) THEN 'document'
                  ELSE 'part' END, shown_wire(p_tenant, p_user, d.entity_type, d.wire)
            FROM document_page(p_tenant, v_scopes[i], v_position, floor, v_count) d
          LOOP
            RETURN NEXT;
          END LOOP;
        END IF;
        item_count := item_count + v_count;
        v_position := sequence;
        EXIT WHEN v_count < v_wanted;
      END LOOP;
      -- A page that was not cut has everything.
      has_more := v_left <= 0 AND EXISTS (
        SELECT FROM scope_delta d
        WHERE d.tenant_id = p_tenant AND d.scope = v_scopes[i] AND d.sequence > 0 AND d.sequence > v_position
          AND (NOT d.deleted OR d.sequence > floor));
    END IF;
    kind := 'scope'; items := NULL;
    origin := v_head.origin; epoch := v_head.epoch; live_count := v_head.live_count; hash := v_head.hash;
    -- Caught up means at the head, also when its last numbers belong to deletions that this copy never
    -- needed.
    sequence := CASE WHEN has_more THEN v_position ELSE v_head.sequence END;
    floor := CASE WHEN has_more THEN floor ELSE 0 END;
    RETURN NEXT;
  END LOOP;

  items := NULL; item_count := NULL; origin := NULL; epoch := NULL; sequence := NULL; floor := NULL; generation := NULL;
  has_more := NULL; live_count := NULL; hash := NULL;
  FOR kind, scope, reason IN
    (SELECT 'revoked', s.scope, NULL FROM (
       SELECT unnest(v_scopes) AS scope UNION
       SELECT d.scope FROM device_scope d
       WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device) s
     WHERE s.scope <> ALL (v_held) ORDER BY s.scope LIMIT 1000)
    UNION ALL
    (SELECT 'directive', d.scope, d.resync_reason FROM device_scope d
     WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
       AND d.resync_reason IS NOT NULL AND d.scope = ANY (v_held) ORDER BY d.scope LIMIT 1000)
    UNION ALL
    (SELECT 'granted', h.scope, NULL FROM unnest(v_held) AS h (scope)
     WHERE h.scope <> ALL (v_scopes) AND NOT EXISTS (
       SELECT FROM device_scope d WHERE d.tenant_id = p_tenant AND d.user_id = p_user
         AND d.device_id = p_device
         AND d.scope = h.scope)
     LIMIT 1000)
    UNION ALL
    SELECT 'device', NULL, device_fingerprint(p_tenant, p_user, p_device)
  LOOP
    RETURN NEXT;
  END LOOP;
  -- Measured before it is put together.
  SELECT count(*), sum(octet_length(w.outcome)), bool_or(w.shows),
      array_agg(w.mutation_id ORDER BY w.terminal_at, w.mutation_id)
    INTO item_count, v_outcome_bytes, v_shows, v_outcomes
    FROM waiting_outcomes(p_tenant, p_user, p_device, p_outcomes) w;
  kind := 'outcomes'; scope := NULL; reason := NULL;
  IF item_count > 0 AND v_shows IS NOT TRUE AND v_outcome_bytes <= least(p_bytes, c_outcomes) THEN
    SELECT string_agg(outcome_in_scope(p_tenant, p_user, m.scope, m.outcome), ',') INTO items FROM (
      SELECT w.outcome, w.scope FROM waiting_outcomes(p_tenant, p_user, p_device, p_outcomes) w) m;
  ELSIF item_count > 0 THEN
    SELECT string_agg(CASE
        WHEN o.holder IS NULL THEN o.outcome
        WHEN o.wire IS NOT NULL THEN left(o.outcome, -1) || ',"current":' || o.wire || '}'
        ELSE left(o.outcome, -1) || ',"currentOf":"' || o.holder || '"}' END, ','), count(*)
      INTO items, item_count
      FROM shown_outcomes(p_tenant, v_outcomes, least(p_bytes, c_outcomes)) o;
  END IF;
  IF item_count > 0 THEN RETURN NEXT; END IF;
END $$;

CREATE OR REPLACE FUNCTION pull(
  p_tenant text, p_user text, p_device text, p_scopes text[], p_origins text[], p_epochs text[],
  p_sequences bigint[], p_floors bigint[], p_generations bigint[], p_limit integer,
  p_outcomes integer, p_bytes integer,
  p_partition integer, p_documents json DEFAULT NULL
) RETURNS TABLE (
  kind text, scope text, reason text, items text, item_count integer, origin text,
  epoch text, sequence bigint,
  floor bigint, generation bigint, has_more boolean, live_count bigint, hash text
)
LANGUAGE plpgsql
-- A plan made while the tables were small is kept while they grow; every look-up here has an index made for
-- it.
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_begun text[] := '{}';
  v_epochs text[] := '{}';
  v_generations bigint[] := '{}';
  v_reasons text[] := '{}';
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  FOR kind, scope, reason, items, item_count, origin, epoch, sequence, floor, generation, has_more,
    live_count, hash IN
    SELECT * FROM pull_read(p_tenant, p_user, p_device, p_scopes, p_origins, p_epochs, p_sequences,
      p_floors, p_generations,
      p_limit, p_outcomes, p_bytes, p_documents)
  LOOP
    RETURN NEXT;
    IF kind = 'scope' AND reason IS NOT NULL THEN
      v_begun := v_begun || scope;
      v_epochs := v_epochs || epoch;
      v_generations := v_generations || generation;
      v_reasons := v_reasons || reason;
    END IF;
  END LOOP;
  IF v_begun = '{}' THEN RETURN; END IF;

  -- The acked position stays within an epoch: pages of a resync may be asked for again, and a SyncCursor only
  -- ever advances.
  INSERT INTO device_scope AS o (tenant_id, user_id, device_id, scope, generation, epoch, sequence, served_at)
    SELECT p_tenant, p_user, p_device, b.scope, b.generation, b.epoch, 0, now()
    FROM unnest(v_begun, v_generations, v_epochs) AS b (scope, generation, epoch) ORDER BY b.scope
    ON CONFLICT (tenant_id, user_id, device_id, scope) DO UPDATE SET
      epoch = excluded.epoch,
      sequence = CASE WHEN o.epoch = excluded.epoch THEN o.sequence ELSE 0 END,
      acked_at = CASE WHEN o.epoch = excluded.epoch THEN o.acked_at END,
      served_at = excluded.served_at,
      resync_reason = NULL,
      changed_at = CASE WHEN o.resync_reason IS NULL THEN o.changed_at ELSE clock_timestamp() END;
  -- A digest mismatch was reported when the ack brought it to light.
  PERFORM sync_append_outbox('SYNC_EVENTS', p_partition,
    json_build_array(gateway_event('sync.resync.required.v1',
      p_tenant, p_user, p_device, json_build_object('scopes', b.scopes, 'reason', b.reason)))::text)
    FROM (SELECT b.reason, json_agg(b.scope) AS scopes FROM unnest(v_begun, v_reasons) AS b (scope, reason)
          WHERE b.reason IN ('epoch', 'retention', 'ahead') GROUP BY b.reason) b;
END $$;
