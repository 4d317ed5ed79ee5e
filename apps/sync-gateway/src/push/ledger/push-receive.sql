-- First round trip of a push: stores what is new and says about each mutation what has to be known to go on.
--
-- Arrays have one element per mutation (ids distinct), p_payloads one line: its payload as JSON text, or
-- nothing. p_hashes are identities (hexadecimal). What matches no schema has an id and that, the rest is
-- null. p_depends_on: {id: [ids]} where there are any. p_looked_up: whether to look up the entity. Arrays and
-- lines, because as objects 100 mutations took 1.5 ms longer to parse, and their payloads another 1.5.
--
-- verdict: 'new'; for the same change of the same user, from whichever device, 'answered' (with its outcome),
-- 'accepted' (answered so, still open) or 'pending' (being handled by somebody else, or left by a crash);
-- 'reused' for another change or user. A refusal without effect is answered to its own session alone (user
-- and device); for anybody else, and for another change, the id is free. waiting: an earlier mutation of the
-- same device and entity is still open, and does not itself wait for this one. dependencies: {id: status} of
-- those that are in the ledger. From new mutations device_sequence learns how far the device has counted; see
-- database/know-answers.ts. p_head_bytes: how much of looked-up entities is read, null for all. Each is then
-- answered once, with the first mutation that looks it up; of one that has no room (the first always has)
-- only its revision. anew: the device had counted from anew before this push, so that it may have forgotten
-- changes; read_known says more. Nothing is answered for a mutation that is new, in a scope that the user
-- holds, and of which nothing else is to be said.
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
CREATE OR REPLACE FUNCTION push_receive(
  p_tenant text, p_user text, p_device text, p_ids uuid[], p_hashes text[],
  p_sequences bigint[], p_scopes text[],
  p_types text[], p_entities text[], p_ops text[], p_at_ms double precision[], p_depends_on jsonb,
  p_looked_up boolean[],
  p_payloads text, p_visible_ms integer, p_max_open integer, p_head_bytes integer DEFAULT NULL
) RETURNS TABLE (
  place integer, verdict text, outcome text, held boolean, waiting boolean, anew boolean, dependencies json,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_visible timestamptz := clock_timestamp() + p_visible_ms * interval '1 millisecond';
  v_open integer;
  v_held text[];
  v_known boolean;
  v_anew boolean;
  v_numbers bigint[] := p_sequences;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true), set_config('synchronous_commit', 'off', true);
  INSERT INTO known_tenant (id) SELECT p_tenant
    WHERE NOT EXISTS (SELECT FROM known_tenant k WHERE k.id = p_tenant)
    ON CONFLICT DO NOTHING;
  -- The device's lock: receiving and completing in two replicas at once must see each other's rows.
  INSERT INTO dispatch_queue AS q (tenant_id, device_id, next_attempt_at) VALUES (p_tenant,
    p_device, v_visible)
    ON CONFLICT (tenant_id, device_id)
    DO UPDATE SET next_attempt_at = least(q.next_attempt_at, excluded.next_attempt_at);
  IF EXISTS (SELECT FROM received_push r WHERE r.tenant_id = p_tenant AND r.device_id = p_device) THEN
    PERFORM push_spread(p_tenant, p_device);
  END IF;
  SELECT count(*) INTO v_open FROM (
    SELECT FROM mutation m WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
    LIMIT p_max_open) open;
  IF v_open >= p_max_open THEN
    RAISE EXCEPTION 'device has % mutations without an outcome', v_open USING ERRCODE = 'SY001';
  END IF;
  SELECT coalesce(array_agg(s.scope), '{}') INTO v_held
    FROM (SELECT DISTINCT scope FROM unnest(p_scopes) AS u (scope) WHERE scope IS NOT NULL) s
    WHERE holds_scope(p_tenant, p_user, s.scope);

  v_known := EXISTS (
    SELECT FROM unnest(p_ids) AS u (id)
    CROSS JOIN LATERAL (SELECT FROM mutation k WHERE k.tenant_id = p_tenant
      AND k.mutation_id = u.id LIMIT 1) m);
  IF v_known THEN
    v_numbers := used_by(p_tenant, p_user, p_device, p_ids, p_hashes, p_sequences, p_payloads);
    v_known := push_take_ids(p_tenant, p_user, p_device, p_ids, p_hashes, p_payloads);
  END IF;
  IF v_open = 0 AND NOT v_known THEN
    INSERT INTO received_push (tenant_id, device_id, user_id, mutation_ids, hashes, sequences, scopes,
      entity_types, entity_ids,
        ops, occurred_at_ms, depends_on, payloads, next_attempt_at)
      VALUES (p_tenant, p_device, p_user, p_ids, p_hashes, p_sequences, p_scopes, p_types, p_entities,
        p_ops, p_at_ms, p_depends_on, p_payloads, v_visible);
    v_anew := note_sequences(p_tenant, p_device, v_numbers);
    RETURN QUERY
    SELECT h.place, 'new', NULL::text, h.held, false, v_anew,
      CASE WHEN p_depends_on IS NOT NULL
           THEN dependency_statuses(p_tenant, p_user, p_device, uuids_of(p_depends_on -> h.id::text)) END,
      h.revision, h.deleted, h.clock, CASE WHEN h.has_room THEN h.field_writes::text END,
      CASE WHEN h.has_room THEN h.wire END
    FROM (
      SELECT (i.ordinality - 1)::integer AS place, i.id, i.held,
        e.revision, e.deleted, e.clock, e.field_writes, e.wire,
        has_room(octet_length(e.wire), sum(octet_length(e.wire)) OVER (ORDER BY i.ordinality), p_head_bytes)
          AS has_room
      FROM (
        SELECT u.*, coalesce(u.scope = ANY (v_held), false) AS held,
          row_number() OVER (
            PARTITION BY u.looked_up, u.scope, u.type, u.eid ORDER BY u.ordinality) AS mention
        FROM unnest(p_ids, p_scopes, p_types, p_entities, p_looked_up) WITH ORDINALITY
          AS u (id, scope, type, eid, looked_up, ordinality)) i
      LEFT JOIN LATERAL (
        SELECT d.* FROM scope_delta d
        WHERE i.looked_up AND i.held AND (p_head_bytes IS NULL OR i.mention = 1)
          AND d.tenant_id = p_tenant AND d.scope = i.scope
          AND d.entity_type = i.type AND d.entity_id = i.eid LIMIT 1) e ON true) h
    WHERE h.revision IS NOT NULL OR p_depends_on IS NOT NULL OR NOT h.held OR v_anew
    ORDER BY h.place;
    RETURN;
  END IF;

  RETURN QUERY SELECT e.* FROM push_enter_open(p_tenant, p_user, p_device, p_ids, p_hashes, p_sequences,
    p_scopes, p_types, p_entities, p_ops, p_at_ms, p_depends_on, p_looked_up, p_payloads, p_head_bytes,
    v_held, v_open > 0, v_numbers, v_visible) e;
  -- A push that brought nothing new leaves nothing to do.
  IF v_open = 0 AND NOT EXISTS (
    SELECT FROM mutation m WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL)
  THEN
    DELETE FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device;
  END IF;
END $$;

-- Enters mutations into the ledger one by one, as open ones, and answers as above: some are in it already, or
-- their device has open ones. Further parameters: the scopes that the user holds, whether the device has open
-- mutations, the numbers to be noted, and until when nobody else takes them.
CREATE OR REPLACE FUNCTION push_enter_open(
  p_tenant text, p_user text, p_device text, p_ids uuid[], p_hashes text[], p_sequences bigint[],
  p_scopes text[], p_types text[], p_entities text[], p_ops text[], p_at_ms double precision[],
  p_depends_on jsonb, p_looked_up boolean[], p_payloads text, p_head_bytes integer,
  p_held text[], p_has_open boolean, p_numbers bigint[], p_visible timestamptz
) RETURNS TABLE (
  place integer, verdict text, outcome text, held boolean, waiting boolean, anew boolean, dependencies json,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH item AS MATERIALIZED (
    SELECT i.*, decode(i.hex, 'hex') AS hash, uuids_of(p_depends_on -> i.id::text) AS deps,
      coalesce(i.scope = ANY (p_held), false) AS held
    FROM ROWS FROM (
      unnest(p_ids, p_hashes, p_sequences, p_scopes, p_types, p_entities, p_ops, p_at_ms, p_looked_up),
      string_to_table(p_payloads, E'\n')
    ) WITH ORDINALITY AS i (id, hex, seq, scope, type, eid, op, at_ms, looked_up, payload, ordinality)
  ), added AS (
    INSERT INTO mutation AS m (tenant_id, mutation_id, user_id, device_id, sequence, scope,
      entity_type, entity_id, op,
      payload, payload_hash, depends_on, occurred_at, next_attempt_at)
    SELECT p_tenant, i.id, p_user, p_device, i.seq, i.scope, i.type, i.eid, i.op,
      nullif(i.payload, ''), i.hash, i.deps, to_timestamp(i.at_ms / 1000), p_visible
    FROM item i ORDER BY i.ordinality
    ON CONFLICT (tenant_id, mutation_id) DO NOTHING
    RETURNING m.mutation_id
  ), noted AS MATERIALIZED (
    SELECT note_sequences(p_tenant, p_device, p_numbers) AS anew
  )
  SELECT h.place, h.verdict, h.outcome, h.held, h.waiting, h.anew, h.dependencies,
    h.revision, h.deleted, h.clock,
    CASE WHEN h.has_room THEN h.field_writes::text END, CASE WHEN h.has_room THEN h.wire END
  FROM (
    SELECT i.*, e.revision, e.deleted, e.clock, e.field_writes, e.wire,
      has_room(octet_length(e.wire), sum(octet_length(e.wire)) OVER (ORDER BY i.place), p_head_bytes)
        AS has_room
    FROM (
      SELECT (i.ordinality - 1)::integer AS place, i.held, i.scope, i.type, i.eid,
        CASE WHEN a.mutation_id IS NOT NULL THEN 'new'
             -- It came into the ledger after this statement had begun.
             WHEN m.mutation_id IS NULL THEN sent_twice()
             WHEN NOT m.same THEN 'reused'
             WHEN m.outcome IS NULL THEN m.status
             ELSE 'answered' END AS verdict,
        CASE WHEN m.same THEN m.outcome END AS outcome,
        p_has_open AND (
          SELECT NOT waits_for(o, i.id, i.payload) FROM mutation o
          WHERE o.tenant_id = p_tenant AND o.device_id = p_device AND o.entity_type = i.type
            AND o.entity_id = i.eid AND o.terminal_at IS NULL
          ORDER BY o.arrival LIMIT 1) IS TRUE AS waiting,
        CASE WHEN i.deps IS NOT NULL
             THEN dependency_statuses(p_tenant, p_user, p_device, i.deps) END AS dependencies,
        noted.anew, wanted.head AS wants_head,
        row_number() OVER (PARTITION BY wanted.head, i.scope, i.type, i.eid ORDER BY i.ordinality) AS mention
      FROM item i
      CROSS JOIN noted
      LEFT JOIN added a ON a.mutation_id = i.id
      LEFT JOIN LATERAL (
        SELECT k.mutation_id, k.status, k.outcome,
          k.user_id = p_user AND same_change(k.payload_hash, i.hash, i.payload) AS same
        FROM mutation k
        WHERE a.mutation_id IS NULL AND k.tenant_id = p_tenant AND k.mutation_id = i.id LIMIT 1) m ON true
      CROSS JOIN LATERAL (
        SELECT i.looked_up AND i.held AND (m.outcome IS NULL OR NOT m.same) AS head) wanted
    ) i
    LEFT JOIN LATERAL (
      SELECT d.* FROM scope_delta d
      WHERE i.wants_head AND (p_head_bytes IS NULL OR i.mention = 1)
        AND d.tenant_id = p_tenant AND d.scope = i.scope AND d.entity_type = i.type
        AND d.entity_id = i.eid LIMIT 1) e ON true
  ) h
  ORDER BY h.place;
END $$;

-- Whether an entity of p_size bytes may be answered, with p_sum bytes together with those before it; null for
-- no entity.
CREATE OR REPLACE FUNCTION has_room(p_size integer, p_sum bigint, p_bytes integer) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT p_bytes IS NULL OR p_sum = p_size OR p_sum <= p_bytes $$;

-- Of mutations that the ledger has something under: makes room for those that may take their ids, and notes
-- whose outcomes this device wants as well (see database/outcome-askers.ts). Answers whether the ledger still
-- has any of them.
CREATE OR REPLACE FUNCTION push_take_ids(
  p_tenant text, p_user text, p_device text, p_ids uuid[], p_hashes text[], p_payloads text
) RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off
AS $$
DECLARE
  v_free uuid[];
  v_asked uuid[];
  v_busy boolean;
  v_known integer;
BEGIN
  SELECT array_agg(i.id) FILTER (WHERE k.is_void AND NOT (k.same AND k.device_id = p_device)),
    -- What it will come to nobody can tell yet: to refuse this one for good would be too early.
    coalesce(bool_or(k.status = 'pending' AND NOT k.same), false), count(*),
    array_agg(i.id) FILTER (WHERE k.same AND k.device_id <> p_device AND NOT k.is_void)
    INTO v_free, v_busy, v_known, v_asked
    FROM ROWS FROM (unnest(p_ids, p_hashes), string_to_table(p_payloads, E'\n')) AS i (id, hex, payload)
    CROSS JOIN LATERAL (
      SELECT m.device_id, m.status, is_without_effect(m.status, m.outcome) AS is_void,
        m.user_id = p_user AND same_change(m.payload_hash, decode(i.hex, 'hex'), i.payload) AS same
      FROM mutation m WHERE m.tenant_id = p_tenant AND m.mutation_id = i.id LIMIT 1) k;
  IF v_busy THEN
    PERFORM sent_twice();
  END IF;
  PERFORM free_ids(p_tenant, v_free);
  INSERT INTO outcome_asker (tenant_id, user_id, device_id, mutation_id)
    SELECT p_tenant, p_user, p_device, id FROM unnest(v_asked) AS a (id) ORDER BY id ON CONFLICT DO NOTHING;
  RETURN v_known > coalesce(cardinality(v_free), 0);
END $$;

-- The numbers that these mutations use, of which the ledger has some: null for what it had from this device
-- under the same number, which is no second use, also where its id is free again. Unless that was another
-- change of the user: then the device has forgotten it.
CREATE OR REPLACE FUNCTION used_by(
  p_tenant text, p_user text, p_device text, p_ids uuid[], p_hashes text[], p_sequences bigint[],
  p_payloads text
) RETURNS bigint[]
LANGUAGE sql STABLE
SET enable_seqscan = off SET jit = off
AS $$
  SELECT array_agg(CASE WHEN k.is_noted IS NOT TRUE THEN i.sequence END ORDER BY i.ordinality)
  FROM ROWS FROM (unnest(p_ids, p_hashes, p_sequences), string_to_table(p_payloads, E'\n'))
    WITH ORDINALITY AS i (id, hex, sequence, payload, ordinality)
  LEFT JOIN LATERAL (
    SELECT CASE WHEN is_without_effect(m.status, m.outcome)
        THEN m.device_id = p_device AND (c.same OR m.sequence IS NOT DISTINCT FROM i.sequence)
      WHEN m.user_id <> p_user OR m.device_id <> p_device THEN true
      ELSE c.same OR m.sequence IS DISTINCT FROM i.sequence END AS is_noted
    FROM mutation m
    CROSS JOIN LATERAL (SELECT m.user_id = p_user
      AND same_change(m.payload_hash, decode(i.hex, 'hex'), i.payload) AS same) c
    WHERE m.tenant_id = p_tenant AND m.mutation_id = i.id LIMIT 1) k ON true
$$;

-- Whether an open mutation waits for one that comes now: it depends on it, or counts more changes of their
-- device.
CREATE OR REPLACE FUNCTION waits_for(o mutation, p_id uuid, p_payload text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT (p_id = ANY (o.depends_on)) IS TRUE OR (o.last_error = 'earlier_missing'
    AND o.counter > coalesce((nullif(p_payload, '')::json #>> ARRAY['baseClock',
      'd:' || o.device_id])::bigint, 0) + 1) IS TRUE
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
