-- Outcomes with the entities that they show, each as it may be shown now: see entity_to_show. In the order of
-- p_ids; as many as p_bytes have room for, and always the first. Those whose entity cannot be shown yet are
-- left out.
--
-- outcome: without its entity. holder: itself; for large entities that are kept beside the outcomes the first
-- of those that show it; null where there is nothing to show. wire: the entity, with its holder; with others,
-- too, while all these copies have no more than 256 KiB.
--
-- Nothing is built before it is known to have room: octet_length reads no value that is stored beside its
-- row. Plans (see push-receive.sql): each look-up is a LATERAL with LIMIT that only its own index can serve.
CREATE OR REPLACE FUNCTION shown_outcomes(p_tenant text, p_ids uuid[], p_bytes integer)
RETURNS TABLE (mutation_id uuid, outcome text, holder uuid, wire text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH asked AS (
    SELECT i.place, m.mutation_id, s.wire, octet_length(s.wire) AS size,
      outcome_in_scope(p_tenant, m.user_id, m.scope, CASE WHEN m.outcome LIKE '%,"current":%'
        THEN split_part(m.outcome, ',"current":', 1) || '}' ELSE m.outcome END) AS outcome,
      -- Only these show the same text: each of the others was stored with an entity of its own.
      CASE WHEN s.wire IS NULL THEN NULL WHEN NOT m.shows THEN m.mutation_id
        ELSE first_value(m.mutation_id) OVER (
          PARTITION BY m.user_id, m.device_id, m.scope, m.entity_type, m.entity_id, m.shows ORDER BY i.place
        ) END AS holder
    FROM unnest(p_ids) WITH ORDINALITY AS i (id, place)
    CROSS JOIN LATERAL (
      SELECT k.* FROM mutation k WHERE k.tenant_id = p_tenant AND k.mutation_id = i.id LIMIT 1) r
    CROSS JOIN LATERAL entity_to_show(r) s
    CROSS JOIN LATERAL (SELECT r.mutation_id, r.user_id, r.device_id, r.scope, r.entity_type, r.entity_id,
      r.outcome, r.shows IS TRUE AS shows) m
    WHERE NOT s.behind
  ), measured AS (
    SELECT a.*, row_number() OVER w AS rank,
      sum(octet_length(a.outcome)
        + CASE WHEN a.holder = a.mutation_id THEN a.size ELSE 0 END) OVER w AS bytes,
      sum(CASE WHEN a.holder <> a.mutation_id THEN a.size ELSE 0 END) OVER w AS copied
    FROM asked a
    WINDOW w AS (ORDER BY a.place)
  )
  SELECT s.mutation_id, s.outcome, s.holder,
    CASE WHEN s.holder = s.mutation_id OR s.copied <= 262144 THEN s.wire END
  FROM measured s
  WHERE s.rank = 1 OR s.bytes <= p_bytes
  ORDER BY s.place;
END $$;

-- An outcome with the scope of its mutation, where the user holds it now (PUSH-26). It is stored without it:
-- grants change. p_outcome: without its entity. p_scope: null where the mutation matched no schema.
CREATE OR REPLACE FUNCTION outcome_in_scope(p_tenant text, p_user text, p_scope text, p_outcome text)
RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN holds_scope(p_tenant, p_user, p_scope)
    THEN left(p_outcome, -1) || ',"scope":"' || p_scope || '"}' ELSE p_outcome END
$$;

-- What an outcome shows of its entity now. An entity is stored as it was when the outcome was (in it, or
-- beside it where it is large: database/shown-entities.ts). Where the read model has a later state of it,
-- that is shown: the device may have pulled it, and a device that has pulled a deletion has nothing left with
-- which it could see that an entity is older than that. And where a device of the user was told of a later
-- change since, in an answer that came earlier than this one, the outcome waits for the read model. Of a
-- scope that was taken from the user since, it shows the entity as absent. To show it as it was stored would
-- be older than what the device knows of it, and anything newer is not for this user.
--
-- wire: null for outcomes that show none.
-- behind: the read model has not come to that change yet. After a day nobody waits for it any more, and for
-- the outcome's own change after a quarter of an hour (PUSH-7).
CREATE OR REPLACE FUNCTION entity_to_show(m mutation, OUT wire text, OUT behind boolean)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  v_clock jsonb;
  v_told uuid;
  v_told_revision bigint;
  v_told_clock jsonb;
  v_revision bigint;
  v_now_clock jsonb;
  v_now text;
BEGIN
  behind := false;
  IF m.status = 'applied' THEN RETURN; END IF;
  IF m.shows THEN
    SELECT s.wire, s.clock INTO wire, v_clock FROM shown_entity s
      WHERE s.tenant_id = m.tenant_id AND s.user_id = m.user_id AND s.device_id = m.device_id
        AND s.scope = m.scope AND s.entity_type = m.entity_type AND s.entity_id = m.entity_id LIMIT 1;
  ELSIF m.outcome LIKE '%,"current":%' THEN
    wire := left(substr(m.outcome, strpos(m.outcome, ',"current":') + 11), -1);
    v_clock := wire::json -> 'clock';
  END IF;
  wire := shown_current(m.tenant_id, m.user_id, m.entity_type, wire);
  -- What its user could not see was shown as absent, and stays so.
  IF wire IS NULL OR v_clock = '{}' AND split_part(m.outcome, ',"message":', 1)
    ~ ',"code":"(scope_not_held|forbidden)"$' THEN RETURN; END IF;
  IF NOT holds_scope(m.tenant_id, m.user_id, m.scope) THEN
    wire := json_build_object('entityType', m.entity_type, 'entityId', m.entity_id, 'op', 'delete',
      'clock', '{}'::json, 'schemaVersion', wire::json -> 'schemaVersion',
      'committedAt', wire::json -> 'committedAt', 'data', null);
    RETURN;
  END IF;
  SELECT d.revision, d.clock, shown_current(m.tenant_id, m.user_id, d.entity_type, d.wire)
    INTO v_revision, v_now_clock, v_now FROM scope_delta d
    WHERE d.tenant_id = m.tenant_id AND d.scope = m.scope AND d.entity_type = m.entity_type
      AND d.entity_id = m.entity_id LIMIT 1;
  SELECT t.id, t.revision, clock_told(m.tenant_id, t.id) INTO v_told, v_told_revision, v_told_clock
    FROM newest_told(m.tenant_id, m.user_id, m.scope, m.entity_type, m.entity_id) t;
  IF v_told_clock IS NULL OR counts_all(v_clock, v_told_clock) THEN
    IF v_now IS NOT NULL AND counts_all(v_now_clock, v_clock) AND NOT counts_all(v_clock, v_now_clock) THEN
      wire := v_now;
    END IF;
  ELSIF v_revision >= v_told_revision THEN
    wire := v_now;
  ELSE
    behind := m.terminal_at > clock_timestamp()
      - CASE WHEN v_told = m.mutation_id THEN interval '15 minutes' ELSE interval '1 day' END;
  END IF;
END $$;

-- The same in a round trip of its own, without the outcomes themselves.
CREATE OR REPLACE FUNCTION read_shown(p_tenant text, p_ids uuid[], p_bytes integer)
RETURNS TABLE (mutation_id uuid, holder uuid, wire text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT o.mutation_id, o.holder, o.wire FROM shown_outcomes(p_tenant, p_ids, p_bytes) o;
END $$;
