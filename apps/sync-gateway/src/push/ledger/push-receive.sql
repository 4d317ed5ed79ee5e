-- Stores what is new of a push and says about each mutation what has to be known to go on. Inside, a push is a
-- row of received_push, whether it is kept as one or not. p_looked_up: see push-receive-together.sql.
--
-- verdict: 'new'; for the same change of the same user, from whichever device, 'answered' (with its outcome),
-- 'accepted' (answered so, still open) or 'pending' (being handled by somebody else, or left by a crash);
-- 'reused' for another change or user. A refusal without effect is answered to its own session alone (user
-- and device); for anybody else, and for another change, the id is free. waiting: an earlier mutation of the
-- same device and entity is still open, and does not itself wait for this one. dependencies: {id: status} of
-- those that are in the ledger. From new mutations device_sequence learns how far the device has counted; see
-- database/know-answers.ts. p_head_bytes: how much of looked-up entities is read. Each is answered once, with
-- the first mutation that looks it up; of one that has no room (the first always has) only its revision.
-- anew: the device had counted from anew before this push, so that it may have forgotten changes; read_known
-- says more. Nothing is answered for a mutation that is new, in a scope that the user holds, and of which
-- nothing else is to be said.
--
-- The usual push, of a device without open mutations and with new ones only, is kept as one row: its
-- mutations come into the ledger once, with their outcomes (see database/received-push.ts).
--
-- Its commit does not wait for the disk: nothing is answered before push_complete, whose commit writes out
-- everything before it. Losing these rows in a crash of Postgres means that the device got no answer and
-- sends them again.
--
-- Plans: without statistics (a fresh database, before the first analyze) and with them (forced row level
-- security names the tenant twice) the planner takes a tenant or a scope for nearly empty, reads all its rows
-- to join them, and a cached plan goes on doing so while they grow: 990 ms at 300,000 rows. So every look-up
-- here is written such that only its own index can serve it: LATERAL with LIMIT for the ledger's key; and for
-- scope_delta its primary key, because the other index that begins alike is partial (see
-- database/order-index.ts).
CREATE TYPE received_row AS (
  place integer, verdict text, outcome text, held boolean, waiting boolean, anew boolean, dependencies json,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
);

CREATE OR REPLACE FUNCTION push_receive(
  p_push received_push, p_looked_up boolean[], p_max_open integer, p_head_bytes integer
) RETURNS SETOF received_row
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_open integer;
  v_held text[];
  v_known boolean;
  v_numbers bigint[] := p_push.sequences;
BEGIN
  PERFORM set_config('app.tenant', p_push.tenant_id, true), set_config('synchronous_commit', 'off', true);
  PERFORM take_device(p_push);
  v_open := count_open(p_push.tenant_id, p_push.device_id, p_max_open);
  v_held := held_of(p_push.tenant_id, p_push.user_id, p_push.scopes);
  v_known := EXISTS (
    SELECT FROM unnest(p_push.mutation_ids) AS u (id)
    CROSS JOIN LATERAL (SELECT FROM mutation k WHERE k.tenant_id = p_push.tenant_id
      AND k.mutation_id = u.id LIMIT 1) m);
  IF v_known THEN
    v_numbers := used_by(p_push);
    v_known := push_take_ids(p_push);
  END IF;
  IF v_open > 0 OR v_known THEN
    RETURN QUERY SELECT e.* FROM push_enter_open(p_push, v_numbers, v_held, p_looked_up, p_head_bytes,
      v_open > 0) e;
    RETURN;
  END IF;
  INSERT INTO received_push SELECT p_push.*;
  RETURN QUERY SELECT a.* FROM answer_received(p_push, NULL, NULL, NULL, v_held, p_looked_up,
    note_sequences(p_push.tenant_id, p_push.device_id, v_numbers), p_head_bytes) a;
END $$;

-- Takes the device's lock: receiving and completing in two replicas at once must see each other's rows. What
-- the device has in hand becomes open mutations.
CREATE OR REPLACE FUNCTION take_device(p_push received_push) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO known_tenant (id) SELECT p_push.tenant_id
    WHERE NOT EXISTS (SELECT FROM known_tenant k WHERE k.id = p_push.tenant_id)
    ON CONFLICT DO NOTHING;
  INSERT INTO dispatch_queue AS q (tenant_id, device_id, next_attempt_at)
    VALUES (p_push.tenant_id, p_push.device_id, p_push.next_attempt_at)
    ON CONFLICT (tenant_id, device_id)
    DO UPDATE SET next_attempt_at = least(q.next_attempt_at, excluded.next_attempt_at);
  IF EXISTS (SELECT FROM received_push r
    WHERE r.tenant_id = p_push.tenant_id AND r.device_id = p_push.device_id)
  THEN
    PERFORM push_spread(p_push.tenant_id, p_push.device_id);
  END IF;
END $$;

-- How many mutations of the device have no outcome; with too many of them it is refused (SY001).
CREATE OR REPLACE FUNCTION count_open(p_tenant text, p_device text, p_max_open integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  v_open integer;
BEGIN
  SELECT count(*) INTO v_open FROM (
    SELECT FROM mutation m WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
    LIMIT p_max_open) open;
  IF v_open >= p_max_open THEN
    RAISE EXCEPTION 'device has % mutations without an outcome', v_open USING ERRCODE = 'SY001';
  END IF;
  RETURN v_open;
END $$;

-- Those of the scopes that the user holds. Asked once for each: as a condition on DISTINCT rows it would be
-- asked for all of them.
CREATE OR REPLACE FUNCTION held_of(p_tenant text, p_user text, p_scopes text[]) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
  RETURN ARRAY(
    SELECT s.scope FROM unnest(ARRAY(SELECT DISTINCT u.scope FROM unnest(p_scopes) AS u (scope))) AS s (scope)
    WHERE holds_scope(p_tenant, p_user, s.scope));
END $$;

-- Enters mutations into the ledger one by one, as open ones, and answers as above: some are in it already, or
-- their device has open ones. p_numbers are to be noted, p_held are the scopes that the user holds.
CREATE OR REPLACE FUNCTION push_enter_open(
  p_push received_push, p_numbers bigint[], p_held text[], p_looked_up boolean[], p_head_bytes integer,
  p_has_open boolean
) RETURNS SETOF received_row
LANGUAGE plpgsql
AS $$
DECLARE
  v_verdicts text[];
  v_outcomes text[];
  v_waiting boolean[];
  v_entered integer;
BEGIN
  SELECT array_agg(k.verdict ORDER BY k.place), array_agg(k.outcome ORDER BY k.place),
      array_agg(k.waiting ORDER BY k.place)
    INTO v_verdicts, v_outcomes, v_waiting FROM known_before(p_push, p_has_open) k;
  -- Before they are entered: what a push depends on within itself is not for the ledger to say.
  RETURN QUERY SELECT a.* FROM answer_received(p_push, v_verdicts, v_outcomes, v_waiting, p_held, p_looked_up,
    note_sequences(p_push.tenant_id, p_push.device_id, p_numbers), p_head_bytes) a;
  INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type,
      entity_id, op, payload, payload_hash, depends_on, occurred_at, next_attempt_at)
    SELECT p_push.tenant_id, i.id, p_push.user_id, p_push.device_id, i.sequence, i.scope, i.type, i.entity,
      i.op, i.payload, i.hash, i.depends_on, i.occurred_at, p_push.next_attempt_at
    FROM mutations_of(p_push) i WHERE v_verdicts[i.place] = 'new' ORDER BY i.place
    ON CONFLICT (tenant_id, mutation_id) DO NOTHING;
  GET DIAGNOSTICS v_entered = ROW_COUNT;
  IF v_entered < cardinality(array_positions(v_verdicts, 'new')) THEN
    -- One came into the ledger since it was looked for there.
    PERFORM sent_twice();
  END IF;
  IF NOT p_has_open AND v_entered = 0 THEN
    -- A push that brought nothing new leaves nothing to do.
    DELETE FROM dispatch_queue q WHERE q.tenant_id = p_push.tenant_id AND q.device_id = p_push.device_id;
  END IF;
END $$;

-- The answer: what there is to say about each mutation. Without p_verdicts all are new. p_held are the scopes
-- that the user holds.
CREATE OR REPLACE FUNCTION answer_received(
  p_push received_push, p_verdicts text[], p_outcomes text[], p_waiting boolean[],
  p_held text[], p_looked_up boolean[], p_anew boolean, p_head_bytes integer
) RETURNS SETOF received_row
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  IF p_verdicts IS NULL AND p_push.depends_on IS NULL AND NOT p_anew AND p_push.scopes <@ p_held
    AND NOT true = ANY (p_looked_up)
  THEN
    -- There is nothing to say, which is nearly always so for what is appended.
    RETURN;
  END IF;
  RETURN QUERY
  SELECT h.place, h.verdict, h.outcome, h.held, h.waiting, p_anew,
    CASE WHEN h.depends_on IS NOT NULL THEN dependency_statuses(p_push.tenant_id, p_push.user_id,
      p_push.device_id, uuids_of(h.depends_on)) END,
    h.revision, h.deleted, h.clock,
    CASE WHEN h.has_room THEN h.field_writes::text END,
    CASE WHEN h.has_room THEN shown_current(p_push.tenant_id, p_push.user_id, h.type, h.wire) END
  FROM (
    SELECT i.*, p_push.depends_on -> i.id::text AS depends_on,
      e.revision, e.deleted, e.clock, e.field_writes, e.wire,
      has_room(octet_length(e.wire), sum(octet_length(e.wire)) OVER (ORDER BY i.place), p_head_bytes)
        AS has_room
    FROM (
      SELECT k.*, row_number() OVER (
        PARTITION BY k.wants_head, k.scope, k.type, k.entity ORDER BY k.place) AS mention
      FROM (
        SELECT (u.ordinality - 1)::integer AS place, u.id, u.scope, u.type, u.entity, u.outcome, c.*,
          u.looked_up AND c.held AND c.verdict <> 'answered' AS wants_head
        FROM unnest(p_push.mutation_ids, p_push.scopes, p_push.entity_types, p_push.entity_ids, p_looked_up,
            p_verdicts, p_outcomes, p_waiting) WITH ORDINALITY
          AS u (id, scope, type, entity, looked_up, verdict, outcome, waiting, ordinality)
        CROSS JOIN LATERAL (SELECT coalesce(u.verdict, 'new') AS verdict,
          coalesce(u.waiting, false) AS waiting, coalesce(u.scope = ANY (p_held), false) AS held) c) k) i
    LEFT JOIN LATERAL (
      SELECT d.* FROM scope_delta d
      WHERE i.wants_head AND i.mention = 1 AND d.tenant_id = p_push.tenant_id
        AND d.scope = i.scope AND d.entity_type = i.type AND d.entity_id = i.entity LIMIT 1) e ON true) h
  WHERE h.verdict <> 'new' OR NOT h.held OR h.waiting OR p_anew OR h.depends_on IS NOT NULL
    OR h.revision IS NOT NULL
  ORDER BY h.place;
END $$;

-- Whether an entity of p_size bytes may be answered, with p_sum bytes together with those before it; null for
-- no entity.
CREATE OR REPLACE FUNCTION has_room(p_size integer, p_sum bigint, p_bytes integer) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT p_sum = p_size OR p_sum <= p_bytes $$;

-- Of mutations that the ledger has something under: makes room for those that may take their ids, and notes
-- whose outcomes this device wants as well (see database/outcome-askers.ts). Answers whether the ledger still
-- has any of them.
CREATE OR REPLACE FUNCTION push_take_ids(p_push received_push) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  v_free uuid[];
  v_asked uuid[];
  v_busy boolean;
  v_known integer;
BEGIN
  SELECT array_agg(i.id) FILTER (WHERE k.is_void AND NOT (k.same AND k.device_id = p_push.device_id)),
    -- What it will come to nobody can tell yet: to refuse this one for good would be too early.
    coalesce(bool_or(k.status = 'pending' AND NOT k.same), false), count(*),
    array_agg(i.id) FILTER (WHERE k.same AND k.device_id <> p_push.device_id AND NOT k.is_void)
    INTO v_free, v_busy, v_known, v_asked
    FROM mutations_of(p_push) i
    CROSS JOIN LATERAL (
      SELECT m.device_id, m.status, is_without_effect(m.status, m.outcome) AS is_void,
        m.user_id = p_push.user_id AND same_change(m.payload_hash, i.hash, i.payload) AS same
      FROM mutation m WHERE m.tenant_id = p_push.tenant_id AND m.mutation_id = i.id LIMIT 1) k;
  IF v_busy THEN
    PERFORM sent_twice();
  END IF;
  PERFORM free_ids(p_push.tenant_id, v_free);
  INSERT INTO outcome_asker (tenant_id, user_id, device_id, mutation_id)
    SELECT p_push.tenant_id, p_push.user_id, p_push.device_id, id FROM unnest(v_asked) AS a (id) ORDER BY id
    ON CONFLICT DO NOTHING;
  RETURN v_known > coalesce(cardinality(v_free), 0);
END $$;

-- The numbers that these mutations use, of which the ledger has some: null for what it had from this device
-- under the same number, which is no second use, also where its id is free again. Unless that was another
-- change of the user: then the device has forgotten it.
CREATE OR REPLACE FUNCTION used_by(p_push received_push) RETURNS bigint[]
LANGUAGE sql STABLE
AS $$
  SELECT array_agg(CASE WHEN k.is_noted IS NOT TRUE THEN i.sequence END ORDER BY i.place)
  FROM mutations_of(p_push) i
  LEFT JOIN LATERAL (
    SELECT CASE WHEN is_without_effect(m.status, m.outcome)
        THEN m.device_id = p_push.device_id AND (c.same OR m.sequence IS NOT DISTINCT FROM i.sequence)
      WHEN m.user_id <> p_push.user_id OR m.device_id <> p_push.device_id THEN true
      ELSE c.same OR m.sequence IS DISTINCT FROM i.sequence END AS is_noted
    FROM mutation m
    CROSS JOIN LATERAL (SELECT m.user_id = p_push.user_id
      AND same_change(m.payload_hash, i.hash, i.payload) AS same) c
    WHERE m.tenant_id = p_push.tenant_id AND m.mutation_id = i.id LIMIT 1) k ON true
$$;

-- Whether an open mutation waits for one that comes now: it depends on it, or counts more changes of their
-- device.
CREATE OR REPLACE FUNCTION waits_for(o mutation, p_id uuid, p_payload text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT (p_id = ANY (o.depends_on)) IS TRUE OR (o.last_error = 'earlier_missing'
    AND o.counter > coalesce((nullif(p_payload, '')::json #>> ARRAY['baseClock',
      'd:' || o.device_id])::bigint, 0) + 1) IS TRUE
$$;

-- What the ledger says about the mutations of a push before they are entered.
CREATE OR REPLACE FUNCTION known_before(p_push received_push, p_has_open boolean)
RETURNS TABLE (place bigint, verdict text, outcome text, waiting boolean)
LANGUAGE sql STABLE AS $$
  SELECT i.place,
    CASE WHEN m.status IS NULL THEN 'new'
         WHEN NOT m.same THEN 'reused'
         WHEN m.outcome IS NULL THEN m.status
         ELSE 'answered' END,
    CASE WHEN m.same THEN m.outcome END,
    p_has_open AND (
      SELECT NOT waits_for(o, i.id, i.payload) FROM mutation o
      WHERE o.tenant_id = p_push.tenant_id AND o.device_id = p_push.device_id AND o.entity_type = i.type
        AND o.entity_id = i.entity AND o.terminal_at IS NULL
      ORDER BY o.arrival LIMIT 1) IS TRUE
  FROM mutations_of(p_push) i
  LEFT JOIN LATERAL (
    SELECT k.status, k.outcome,
      k.user_id = p_push.user_id AND same_change(k.payload_hash, i.hash, i.payload) AS same
    FROM mutation k WHERE k.tenant_id = p_push.tenant_id AND k.mutation_id = i.id LIMIT 1) m ON true
$$;

-- Notes the numbers of a device's new mutations, and when it used one again that another of its mutations
-- has: it was restored from a backup then, and counts from anew. Answers whether it had
-- done so before.
CREATE OR REPLACE FUNCTION note_sequences(p_tenant text, p_device text, p_sequences bigint[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  v_new int8multirange;
  v_anew boolean;
BEGIN
  SELECT range_agg(int8range(u.sequence, u.sequence, '[]')) INTO v_new
    FROM unnest(p_sequences) AS u (sequence)
    WHERE u.sequence IS NOT NULL;
  INSERT INTO device_sequence AS s (tenant_id, device_id, highest, received)
    SELECT p_tenant, p_device, upper(v_new) - 1, v_new WHERE v_new IS NOT NULL
    ON CONFLICT (tenant_id, device_id) DO UPDATE SET
      highest = excluded.highest,
      received = sequences_with(used_sequences(s.received, s.highest), excluded.received),
      -- now(), as in received_at: what this push brings is no older than that.
      repeated_at = CASE WHEN used_sequences(s.received, s.highest) && excluded.received THEN now()
        ELSE s.repeated_at END
    RETURNING s.repeated_at < now() INTO v_anew;
  RETURN coalesce(v_anew, EXISTS (SELECT FROM device_sequence s
    WHERE s.tenant_id = p_tenant AND s.device_id = p_device AND s.repeated_at < now()));
END $$;

-- All up to p_highest beyond p_received was noted by a gateway of a version that knew no more than that.
CREATE OR REPLACE FUNCTION used_sequences(p_received int8multirange, p_highest bigint) RETURNS int8multirange
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_received IS NULL THEN int8multirange(int8range(NULL, p_highest + 1))
    ELSE p_received + int8multirange(int8range(upper(p_received), greatest(upper(p_received), p_highest + 1)))
    END
$$;

-- The numbers of a device after a push. From the first that was used before, it counts from anew. At most 16
-- ranges are kept, the gaps between the lowest of more are filled: a mutation that comes so late is taken for
-- one of a device that counts from anew, which costs a ConflictRecord at the most.
CREATE OR REPLACE FUNCTION sequences_with(p_used int8multirange, p_new int8multirange) RETURNS int8multirange
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN count(*) <= 16 THEN k.kept
    ELSE k.kept + int8multirange(range_merge(k.kept * int8multirange(int8range(NULL,
      (array_agg(upper(r.range) ORDER BY r.range DESC))[16])))) END
  FROM (
    SELECT CASE WHEN p_used && p_new
      THEN p_used * int8multirange(int8range(NULL, lower(p_used * p_new))) ELSE p_used END + p_new AS kept) k
  CROSS JOIN LATERAL unnest(k.kept) AS r (range)
  GROUP BY k.kept
$$;
