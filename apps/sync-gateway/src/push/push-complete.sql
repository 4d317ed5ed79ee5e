-- Last round trip of a push (and of the dispatcher): stores outcomes where none is stored yet, and writes the sync events of exactly what it
-- stored in the same transaction.
--
-- p_items, one object per mutation: {id, attempt (null: whichever), status, delayMs?: until the next attempt (absent: as planned before), mayBeSent?,
-- error?, kind?: key into p_events of the sync event that lists it, conflict?: a CloudEvent of its own, chunk: number of the outbox message that
-- carries it}. p_outcomes and p_entries have one line per item: the wire text of its outcome (nothing while it has none), and its element in the list
-- of its event. p_events: {kind: head of the CloudEvent up to its list}.
--
-- Plans (see push-receive.sql): the ledger is read by a list of keys, and joined with p_items by hash.
--
-- Answers what somebody else had stored before (first wins), with a null outcome for what is still open; nothing for what it stored.
DROP FUNCTION IF EXISTS push_complete(text, text, json, json, integer);
CREATE OR REPLACE FUNCTION push_complete(
  p_tenant text, p_device text, p_items json, p_outcomes text, p_entries text, p_events json, p_partition integer
) RETURNS TABLE (mutation_id uuid, outcome text)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_ids uuid[];
  v_stored uuid[];
  v_terminal uuid[];
  v_next timestamptz;
  v_payload text;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device FOR UPDATE;
  SELECT array_agg(i.id) INTO v_ids FROM json_to_recordset(p_items) AS i (id uuid);
  WITH stored AS (
    UPDATE mutation m SET
      status = i.status,
      outcome = nullif(i.outcome, ''),
      -- What was applied is its owner's now; what was not may be asked for. Without it the new row is a tenth of the old one.
      payload = CASE WHEN i.status IN ('applied', 'merged') THEN NULL ELSE m.payload END,
      decision = CASE WHEN i.outcome <> '' THEN NULL ELSE m.decision END,
      terminal_at = CASE WHEN i.outcome <> '' THEN v_now END,
      next_attempt_at = coalesce(v_now + i."delayMs" * interval '1 millisecond', m.next_attempt_at),
      may_be_sent = coalesce(i."mayBeSent", m.may_be_sent),
      last_error = coalesce(i.error, m.last_error),
      -- Only what the owner answered in vain counts; that it was away does not.
      failures = m.failures + CASE WHEN i.error = 'owner_failed' THEN 1 ELSE 0 END,
      failing_since = CASE WHEN i.error = 'owner_failed' THEN coalesce(m.failing_since, v_now) ELSE m.failing_since END
    FROM ROWS FROM (
      json_to_recordset(p_items) AS (
        id uuid, attempt integer, status text, "delayMs" integer, "mayBeSent" boolean, error text),
      string_to_table(p_outcomes, E'\n')
    ) AS i (id, attempt, status, "delayMs", "mayBeSent", error, outcome)
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (v_ids) AND m.mutation_id = i.id
      AND m.outcome IS NULL AND m.attempts = coalesce(i.attempt, m.attempts)
    RETURNING m.mutation_id, m.terminal_at
  ) SELECT coalesce(array_agg(s.mutation_id), '{}'),
           coalesce(array_agg(s.mutation_id) FILTER (WHERE s.terminal_at IS NOT NULL), '{}')
    INTO v_stored, v_terminal FROM stored s;

  FOR v_payload IN
    WITH item AS (
      SELECT i.* FROM ROWS FROM (
        json_to_recordset(p_items) AS (id uuid, kind text, conflict text, chunk integer),
        string_to_table(p_entries, E'\n')
      ) AS i (id, kind, conflict, chunk, entry)
      WHERE i.id = ANY (v_stored)
    ), event AS (
      SELECT 0 AS chunk, 0 AS rank, (p_events ->> i.kind) || string_agg(i.entry, ',') || ']}}' AS body
      FROM item i WHERE i.kind IS NOT NULL GROUP BY i.kind
      UNION ALL
      SELECT i.chunk, 1, i.conflict FROM item i WHERE i.conflict IS NOT NULL
    )
    SELECT '[' || string_agg(e.body, ',' ORDER BY e.rank) || ']' FROM event e GROUP BY e.chunk ORDER BY e.chunk
  LOOP
    PERFORM sync_append_outbox('SYNC_EVENTS', p_partition, v_payload);
  END LOOP;

  -- What waited for one of these may go on at once.
  UPDATE mutation m SET next_attempt_at = v_now
    WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL AND m.depends_on && v_terminal;
  -- Only the first open mutation of an entity counts: those behind it cannot go on before it has.
  SELECT min(lane.next_attempt_at) INTO v_next FROM (
    SELECT DISTINCT ON (m.entity_type, m.entity_id) m.next_attempt_at FROM mutation m
    WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
    ORDER BY m.entity_type, m.entity_id, m.arrival) lane;
  IF v_next IS NULL THEN
    DELETE FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device;
  ELSE
    UPDATE dispatch_queue q SET next_attempt_at = v_next WHERE q.tenant_id = p_tenant AND q.device_id = p_device;
  END IF;

  IF cardinality(v_stored) < json_array_length(p_items) THEN
    RETURN QUERY
      SELECT m.mutation_id, m.outcome FROM mutation m
      WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (v_ids) AND m.mutation_id <> ALL (v_stored);
  END IF;
END $$;
