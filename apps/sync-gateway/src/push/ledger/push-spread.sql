-- Turns the device's received push, if there is one, into open mutations of the ledger; see
-- database/received-push.ts. Its caller holds the device's lock. Which of them a crash of the gateway has
-- left nobody knows: they are `pending`, may have been sent, and come to the dispatcher in their time.
CREATE OR REPLACE FUNCTION push_spread(p_tenant text, p_device text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off -- as in push-complete.sql
AS $$
DECLARE
  r received_push;
BEGIN
  DELETE FROM received_push g WHERE g.tenant_id = p_tenant AND g.device_id = p_device RETURNING g.* INTO r;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM free_ids(p_tenant, r.mutation_ids);
  INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type,
    entity_id, op, payload, payload_hash, depends_on, decision, occurred_at, received_at, next_attempt_at)
  SELECT p_tenant, i.id, r.user_id, p_device, i.sequence, i.scope, i.type, i.entity, i.op,
    i.payload, i.hash, i.depends_on, d.decision, i.occurred_at, r.received_at, r.next_attempt_at
  FROM mutations_of(r) i
  LEFT JOIN (
    -- Decided again after a conflict: the last word counts.
    SELECT DISTINCT ON (k.id) k.id, k.decision
    FROM ROWS FROM (unnest(r.decided_ids), string_to_table(r.decisions,
      E'\n')) WITH ORDINALITY AS k (id, decision, place)
    ORDER BY k.id, k.place DESC
  ) d ON d.id = i.id
  ORDER BY i.place
  ON CONFLICT (tenant_id, mutation_id) DO NOTHING;
END $$;

-- Whether a mutation is the one that the ledger has under its id, for the same user. p_known is its
-- payload_hash, p_sent what came: identities of 36 bytes, see sameChange of @sync/domain. Rows of releases
-- before identities have the SHA-256 of their canonical payload, 32 bytes and without a tag, for the 30 days
-- that they stay; and while such a release runs beside this one, it sends that, which says nothing about an
-- identity: an id of the user is believed then.
CREATE OR REPLACE FUNCTION same_change(p_known bytea, p_sent bytea, p_payload text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_known = p_sent OR CASE
    WHEN octet_length(p_known) = 32 THEN p_known = sha256(convert_to(
      regexp_replace(p_payload, ',"tag":"[^"]{44}"}$', '}'), 'UTF8'))
    WHEN octet_length(p_sent) = 32 THEN true
    ELSE substring(p_known, 1, 16) = substring(p_sent, 1, 16)
      AND substring(p_known, 17, 4) <> substring(p_sent, 17, 4) END
$$;

-- A refusal that left nothing behind, no change and no ConflictRecord: it uses up nobody's id. Looked for in
-- front of `current`, which holds what users write.
CREATE OR REPLACE FUNCTION is_without_effect(p_status text, p_outcome text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_status = 'rejected' AND split_part(p_outcome, ',"current":', 1) NOT LIKE '%,"conflictId":"%'
$$;

-- Notes changes that were refused and have no row in the ledger; see database/refused-changes.ts.
CREATE OR REPLACE FUNCTION note_refused(
  p_tenant text, p_devices text[], p_types text[], p_entities text[], p_counters bigint[]
) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO refused_change AS r (tenant_id, device_id, entity_type, entity_id, counter, refused_at)
    SELECT p_tenant, n.device, n.type, n.id, max(n.counter), clock_timestamp()
    FROM unnest(p_devices, p_types, p_entities, p_counters) AS n (device, type, id, counter)
    GROUP BY n.device, n.type, n.id ORDER BY n.device, n.type, n.id
    ON CONFLICT (tenant_id, device_id, entity_type, entity_id) DO UPDATE SET
      counter = greatest(r.counter, excluded.counter), refused_at = excluded.refused_at
$$;

-- The same in a round trip of its own, for one device.
CREATE OR REPLACE FUNCTION push_refused(
  p_tenant text, p_device text, p_types text[], p_entities text[], p_counters bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM note_refused(p_tenant, array_fill(p_device, ARRAY[cardinality(p_types)]), p_types,
    p_entities, p_counters);
END $$;

-- Forgets refusals without effect, of whomever, so that their ids can be taken.
CREATE OR REPLACE FUNCTION free_ids(p_tenant text, p_ids uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  v_gone mutation[];
BEGIN
  WITH gone AS (
    DELETE FROM mutation m
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_ids) AND is_without_effect(m.status, m.outcome)
    RETURNING m
  ) SELECT array_agg(g.m) INTO v_gone FROM gone g WHERE (g.m).counter IS NOT NULL;
  IF v_gone IS NULL THEN RETURN; END IF;
  PERFORM note_refused(p_tenant, array_agg(g.device_id), array_agg(g.entity_type), array_agg(g.entity_id),
    array_agg(g.counter)) FROM unnest(v_gone) AS g WHERE g.entity_id IS NOT NULL;
END $$;

-- Two devices or users are at one mutationId at this moment: whoever comes second comes again, and finds what
-- the first one came to.
CREATE OR REPLACE FUNCTION sent_twice() RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'another session is at one of these mutations' USING ERRCODE = 'SY002';
END $$;

-- A JSON list of ids; null for none.
CREATE OR REPLACE FUNCTION uuids_of(p_ids jsonb) RETURNS uuid[]
LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT array_agg(k::uuid) FROM jsonb_array_elements_text(p_ids) k $$;

-- The mutations of a push that was received.
CREATE OR REPLACE FUNCTION mutations_of(p_push received_push)
RETURNS TABLE (place bigint, id uuid, hash bytea, sequence bigint, scope text, type text, entity text,
  op text, occurred_at timestamptz, depends_on uuid[], payload text)
LANGUAGE sql STABLE AS $$
  SELECT i.place, i.id, decode(i.hash, 'hex'), i.sequence, i.scope, i.type, i.entity, i.op,
    to_timestamp(i.at_ms / 1000), uuids_of(p_push.depends_on -> i.id::text), nullif(i.payload, '')
  FROM ROWS FROM (
    unnest(p_push.mutation_ids, p_push.hashes, p_push.sequences, p_push.scopes, p_push.entity_types,
      p_push.entity_ids, p_push.ops, p_push.occurred_at_ms),
    string_to_table(p_push.payloads, E'\n')
  ) WITH ORDINALITY AS i (id, hash, sequence, scope, type, entity, op, at_ms, payload, place)
$$;

-- {id: status} of those that the ledger has, or that another device of the user has sent just now.
CREATE OR REPLACE FUNCTION dependency_statuses(p_tenant text, p_user text, p_device text,
  p_ids uuid[]) RETURNS json
LANGUAGE sql STABLE
AS $$
  SELECT json_object_agg(d.id, d.status) FROM (
    SELECT m.mutation_id AS id, m.status FROM mutation m
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_ids) AND m.user_id = p_user
    UNION ALL
    SELECT k, 'pending' FROM received_push r CROSS JOIN unnest(p_ids) k
    WHERE r.tenant_id = p_tenant AND r.user_id = p_user AND r.device_id <> p_device
      AND k = ANY (r.mutation_ids)
  ) d
$$;
