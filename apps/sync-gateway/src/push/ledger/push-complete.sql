-- A push, or a run of the dispatcher over one device, with what came of its mutations.
--
-- Arrays have one element per mutation: attempts (null: whichever), statuses, and revisions, the entity's
-- after what was applied or merged (see read-known.sql). outcomes has one line each: the wire text of its
-- outcome (nothing while it has none). more, where there is more to say: [{place (of the arrays, from 1),
-- delayMs?: until the next attempt (absent: as planned before), mayBeSent?, error?, counter?: which change of
-- its device it would have been, shows?: its entity is in shown, refusal?: why it is refused as soon as its
-- entity can be shown}]. told, conflicts: see completion-events.sql. shown: [{scope, type, id, clock, wire}],
-- large entities that outcomes show (database/shown-entities.ts).
CREATE TYPE ended_push AS (
  tenant_id text, user_id text, device_id text, more json, told text, conflicts json, partition integer,
  shown json, mutation_ids uuid[], attempts integer[], statuses text[], revisions bigint[], outcomes text
);

-- Its mutations, one by one.
CREATE OR REPLACE FUNCTION outcomes_of(p_end ended_push)
RETURNS TABLE (id uuid, attempt integer, status text, revision bigint, outcome text, place bigint,
  delay_ms integer, may_be_sent boolean, error text, counter bigint, shows boolean, refusal text)
LANGUAGE sql STABLE AS $$
  SELECT i.*, o."delayMs", o."mayBeSent", o.error, o.counter, o.shows, o.refusal
  FROM ROWS FROM (
    unnest(p_end.mutation_ids, p_end.attempts, p_end.statuses, p_end.revisions),
    string_to_table(p_end.outcomes, E'\n')
  ) WITH ORDINALITY AS i (id, attempt, status, revision, outcome, place)
  LEFT JOIN json_to_recordset(p_end.more)
    AS o (place bigint, "delayMs" integer, "mayBeSent" boolean, error text, counter bigint, shows boolean,
      refusal text) ON o.place = i.place
$$;

-- What the ledger has of a mutation; no outcome: it is open.
CREATE TYPE stored_outcome AS (mutation_id uuid, outcome text);

-- Stores outcomes where none is stored yet, and writes the sync events of exactly what it stored in the same
-- transaction; but `told`, what there is to tell beside conflicts, is written by the caller.
--
-- A push that is still as it was received comes into the ledger here, every row written once. Otherwise its
-- rows are updated.
--
-- Plans (see push-receive.sql): the ledger is read by a list of keys, and joined with the arrays by hash.
--
-- before: what somebody else had stored of it (first wins), and what is still open; not what it stored, nor
-- refusals without effect under an id that another change has taken meanwhile: they are answered as they are,
-- and kept nowhere. Anything else under such an id, and nothing is stored at all (SY002).
CREATE OR REPLACE FUNCTION push_complete(p_end ended_push, OUT told text, OUT before stored_outcome[])
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_received boolean;
  v_stored uuid[];
  v_terminal uuid[];
BEGIN
  PERFORM set_config('app.tenant', p_end.tenant_id, true);
  PERFORM hold_device(p_end.tenant_id, p_end.device_id, v_now);
  v_stored := push_enter(p_end, v_now);
  v_received := v_stored IS NOT NULL;
  IF NOT v_received THEN
    SELECT s.stored, s.ended INTO v_stored, v_terminal FROM push_store(p_end, v_now) s;
  END IF;
  IF p_end.shown IS NOT NULL THEN
    PERFORM keep_shown(p_end, v_now);
  END IF;
  told := told_of_stored(p_end.mutation_ids, p_end.statuses, v_stored, p_end.told);
  IF p_end.conflicts IS NOT NULL THEN
    PERFORM sync_append_outbox('SYNC_EVENTS', p_end.partition, c.message)
      FROM conflict_messages(v_stored, p_end.conflicts) AS c (message);
  END IF;
  IF v_received THEN
    -- Beside a received push the device has nothing open.
    PERFORM plan_turn(p_end.tenant_id, p_end.device_id, p_end.more IS NULL);
    RETURN;
  END IF;
  PERFORM wake_waiting(p_end, v_stored, v_terminal, v_now);
  PERFORM plan_turn(p_end.tenant_id, p_end.device_id, false);
  IF cardinality(v_stored) < cardinality(p_end.mutation_ids) THEN
    before := ARRAY(SELECT b FROM stored_before(p_end, v_stored) b);
  END IF;
END $$;

-- Takes the device's lock.
CREATE OR REPLACE FUNCTION hold_device(p_tenant text, p_device text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device FOR UPDATE;
  IF NOT FOUND THEN
    -- Another completion has taken the device out of the queue while this one waited for it; without its lock
    -- the device would lose the place that a push takes in between, and what stays open of that nobody would
    -- dispatch.
    INSERT INTO dispatch_queue AS q (tenant_id, device_id, next_attempt_at) VALUES (p_tenant, p_device, p_now)
      ON CONFLICT (tenant_id, device_id) DO UPDATE SET next_attempt_at = q.next_attempt_at;
  END IF;
END $$;

-- Writes outcomes, and what becomes of what stays open, into rows of the ledger that have none. stored: which
-- it wrote; ended: those of them that have their outcome.
CREATE OR REPLACE FUNCTION push_store(
  p_end ended_push, p_now timestamptz, OUT stored uuid[], OUT ended uuid[]
)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
  WITH changed AS (
    UPDATE mutation m SET
      status = i.status,
      outcome = nullif(i.outcome, ''),
      -- What was applied is its owner's now; what was not may be asked for. Without it the new row is a
      -- tenth of the old one.
      payload = CASE WHEN i.status IN ('applied', 'merged') THEN NULL ELSE m.payload END,
      shows = i.shows,
      decision = CASE WHEN i.outcome <> '' THEN NULL ELSE coalesce(i.refusal, m.decision) END,
      terminal_at = CASE WHEN i.outcome <> '' THEN p_now END,
      next_attempt_at = coalesce(p_now + i.delay_ms * interval '1 millisecond', m.next_attempt_at),
      may_be_sent = coalesce(i.may_be_sent, m.may_be_sent),
      revision = i.revision,
      counter = CASE WHEN i.revision IS NULL THEN coalesce(i.counter, m.counter) END,
      last_error = coalesce(i.error, m.last_error),
      -- Only what the owner answered in vain counts; that it was away does not.
      failures = m.failures + CASE WHEN i.error = 'owner_failed' THEN 1 ELSE 0 END,
      failing_since = CASE WHEN i.error = 'owner_failed' THEN coalesce(m.failing_since, p_now)
        ELSE m.failing_since END
    FROM outcomes_of(p_end) i
    WHERE m.tenant_id = p_end.tenant_id AND m.mutation_id = ANY (p_end.mutation_ids) AND m.mutation_id = i.id
      AND m.outcome IS NULL AND m.attempts = coalesce(i.attempt, m.attempts)
      -- Whoever is late may find somebody else under the id. Without an attempt it only says that it was
      -- accepted, which another device of the user may.
      AND m.user_id = p_end.user_id AND (m.device_id = p_end.device_id OR i.attempt IS NULL)
    RETURNING m.mutation_id, m.terminal_at
  ) SELECT coalesce(array_agg(s.mutation_id), '{}'),
           coalesce(array_agg(s.mutation_id) FILTER (WHERE s.terminal_at IS NOT NULL), '{}')
    INTO stored, ended FROM changed s;
END $$;

-- Keeps large entities that outcomes show, each in the newest state that was shown to the device.
CREATE OR REPLACE FUNCTION keep_shown(p_end ended_push, p_now timestamptz) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  -- Where two complete at once, the later may have read earlier.
  INSERT INTO shown_entity AS k
    (tenant_id, user_id, device_id, scope, entity_type, entity_id, clock, wire, shown_at)
    SELECT p_end.tenant_id, p_end.user_id, p_end.device_id, s.scope, s.type, s.id, s.clock, s.wire, p_now
    FROM json_to_recordset(p_end.shown) AS s (scope text, type text, id text, clock jsonb, wire text)
    ORDER BY s.scope, s.type, s.id
    ON CONFLICT (tenant_id, user_id, device_id, scope, entity_type, entity_id) DO UPDATE SET
      clock = CASE WHEN counts_all(k.clock, excluded.clock) THEN k.clock ELSE excluded.clock END,
      wire = CASE WHEN counts_all(k.clock, excluded.clock) THEN k.wire ELSE excluded.wire END,
      shown_at = excluded.shown_at;
END $$;

-- What waited for one of these may go on at once.
CREATE OR REPLACE FUNCTION wake_waiting(
  p_end ended_push, p_stored uuid[], p_ended uuid[], p_now timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE mutation m SET next_attempt_at = p_now
    WHERE m.tenant_id = p_end.tenant_id AND m.device_id = p_end.device_id AND m.terminal_at IS NULL
      AND (m.depends_on && p_ended
      OR m.last_error = 'earlier_missing' AND m.mutation_id <> ALL (p_end.mutation_ids) AND EXISTS (
        SELECT FROM mutation k WHERE k.tenant_id = p_end.tenant_id AND k.mutation_id = ANY (p_stored)
          AND k.entity_type = m.entity_type AND k.entity_id = m.entity_id));
END $$;

-- Sets when the device comes to the dispatcher, or takes it out of the queue where nothing is open;
-- p_is_done: that is known.
CREATE OR REPLACE FUNCTION plan_turn(p_tenant text, p_device text, p_is_done boolean) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  v_next timestamptz;
BEGIN
  IF NOT p_is_done THEN
    -- Only the first open mutation of an entity counts: those behind it cannot go on before it has.
    SELECT min(lane.next_attempt_at) INTO v_next FROM (
      (SELECT DISTINCT ON (m.entity_type, m.entity_id) m.next_attempt_at FROM mutation m
       WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
       ORDER BY m.entity_type, m.entity_id, m.arrival)
      UNION ALL
      SELECT r.next_attempt_at FROM received_push r WHERE r.tenant_id = p_tenant
        AND r.device_id = p_device) lane;
  END IF;
  IF v_next IS NULL THEN
    DELETE FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device;
  ELSE
    UPDATE dispatch_queue q SET next_attempt_at = v_next WHERE q.tenant_id = p_tenant
      AND q.device_id = p_device;
  END IF;
END $$;

-- What somebody else had stored of these before, and what is still open.
CREATE OR REPLACE FUNCTION stored_before(p_end ended_push, p_stored uuid[]) RETURNS SETOF stored_outcome
LANGUAGE plpgsql
AS $$
BEGIN
  RETURN QUERY
    SELECT i.id, CASE WHEN m.id IS NULL THEN sent_twice() ELSE m.outcome END
    FROM outcomes_of(p_end) i
    LEFT JOIN LATERAL (
      SELECT k.mutation_id AS id, k.outcome FROM mutation k
      WHERE k.tenant_id = p_end.tenant_id AND k.mutation_id = i.id
        AND k.user_id = p_end.user_id AND (k.device_id = p_end.device_id OR i.attempt IS NULL)
      LIMIT 1) m ON true
    WHERE i.id <> ALL (p_stored) AND (m.id IS NOT NULL OR NOT is_without_effect(i.status, i.outcome));
END $$;

-- Enters a received push into the ledger with its outcomes; null when these mutations are not a received push
-- (any more). Open mutations get the payload and whatever was kept of them; what an
-- applied one carried is its owner's now. Answers which are in the ledger now: all but refusals without
-- effect whose ids others have taken since.
CREATE OR REPLACE FUNCTION push_enter(p_end ended_push, p_now timestamptz) RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
  r received_push;
  v_entered uuid[];
BEGIN
  SELECT * INTO r FROM received_push g
    WHERE g.tenant_id = p_end.tenant_id AND g.device_id = p_end.device_id;
  IF NOT FOUND OR NOT r.mutation_ids && p_end.mutation_ids THEN RETURN NULL; END IF;
  IF r.mutation_ids <> p_end.mutation_ids
    OR r.decided_ids IS NOT NULL AND 'accepted' = ANY (p_end.statuses)
  THEN
    -- A part of it, or something stays open that may have a decision to be kept.
    PERFORM push_spread(p_end.tenant_id, p_end.device_id);
    RETURN NULL;
  END IF;
  DELETE FROM received_push g WHERE g.tenant_id = p_end.tenant_id AND g.device_id = p_end.device_id;
  IF p_end.more IS NULL AND 'applied' = ALL (p_end.statuses) THEN
    BEGIN
      PERFORM enter_applied(r, p_end, p_now);
      RETURN p_end.mutation_ids;
    EXCEPTION WHEN unique_violation THEN
      -- An id was taken before.
    END;
  END IF;
  v_entered := enter_outcomes(r, p_end, p_now);
  IF cardinality(v_entered) < cardinality(p_end.mutation_ids) THEN
    -- An id was taken before: what was refused there without effect makes room.
    PERFORM free_ids(p_end.tenant_id,
      ARRAY(SELECT unnest(p_end.mutation_ids) EXCEPT SELECT unnest(v_entered)));
    v_entered := v_entered || enter_outcomes(r, p_end, p_now);
  END IF;
  IF EXISTS (SELECT FROM outcomes_of(p_end) i
    WHERE i.id <> ALL (v_entered) AND NOT is_without_effect(i.status, i.outcome))
  THEN
    PERFORM sent_twice();
  END IF;
  RETURN v_entered;
END $$;

-- The rows of a received push of which everything was applied. They have what is asked for later, and nothing
-- that only an open mutation needs. Without ON CONFLICT, which writes a second time that a row is there to
-- stay.
CREATE OR REPLACE FUNCTION enter_applied(r received_push, p_end ended_push, p_now timestamptz) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type,
      entity_id, op, payload_hash, received_at, status, outcome, terminal_at, revision)
    SELECT r.tenant_id, i.id, r.user_id, r.device_id, i.sequence, i.scope, i.type,
      i.entity, i.op, decode(i.hash, 'hex'), r.received_at, 'applied', i.outcome, p_now, i.revision
    FROM ROWS FROM (
      unnest(r.mutation_ids, r.hashes, r.sequences, r.scopes, r.entity_types, r.entity_ids, r.ops,
        p_end.revisions),
      string_to_table(p_end.outcomes, E'\n')
    ) AS i (id, hash, sequence, scope, type, entity, op, revision, outcome);
END $$;

-- The rows of a received push, with its outcomes. Answers which ids were free.
CREATE OR REPLACE FUNCTION enter_outcomes(r received_push, p_end ended_push, p_now timestamptz) RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
  v_added uuid[];
BEGIN
  WITH added AS (
    INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type,
      entity_id, op, payload, payload_hash, depends_on, occurred_at, received_at,
      status, outcome, terminal_at, next_attempt_at, may_be_sent, last_error, failures, failing_since,
      revision, counter, shows, decision)
    SELECT r.tenant_id, m.id, r.user_id, r.device_id, m.sequence, m.scope, m.type, m.entity, m.op,
      CASE WHEN i.status NOT IN ('applied', 'merged') THEN m.payload END,
      m.hash, m.depends_on, m.occurred_at, r.received_at,
      i.status, nullif(i.outcome, ''), CASE WHEN i.outcome <> '' THEN p_now END,
      coalesce(p_now + i.delay_ms * interval '1 millisecond', r.next_attempt_at),
      coalesce(i.may_be_sent, true), i.error,
      CASE WHEN i.error = 'owner_failed' THEN 1 ELSE 0 END,
      CASE WHEN i.error = 'owner_failed' THEN p_now END,
      i.revision, i.counter, i.shows, i.refusal
    FROM mutations_of(r) m
    JOIN outcomes_of(p_end) i ON i.place = m.place
    ORDER BY m.place
    ON CONFLICT (tenant_id, mutation_id) DO NOTHING
    RETURNING mutation_id
  ) SELECT coalesce(array_agg(a.mutation_id), '{}') INTO v_added FROM added a;
  RETURN v_added;
END $$;

-- Whether a clock counts every change that the other does. One that was folded since counts as different: see
-- s:folded.
CREATE OR REPLACE FUNCTION counts_all(p_clock jsonb, p_other jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT NOT EXISTS (
    SELECT FROM jsonb_each_text(p_other) AS o (replica, counter)
    WHERE coalesce((p_clock ->> o.replica)::bigint, 0) < o.counter::bigint)
$$;
