-- Turns the device's received push, if there is one, into open mutations of the ledger; see database/received-push.ts. Its caller holds the device's lock.
-- Which of them a crash of the gateway has left nobody knows: they are `pending`, may have been sent, and come to the dispatcher in their time.
CREATE OR REPLACE FUNCTION push_spread(p_tenant text, p_device text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off -- as in push-complete.sql
AS $$
DECLARE
  r received_push;
BEGIN
  DELETE FROM received_push g WHERE g.tenant_id = p_tenant AND g.device_id = p_device RETURNING g.* INTO r;
  IF NOT FOUND THEN RETURN; END IF;
  INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type, entity_id, op,
    payload, payload_hash, depends_on, decision, occurred_at, received_at, next_attempt_at)
  SELECT p_tenant, i.id, r.user_id, p_device, i.sequence, i.scope, i.type, i.entity, i.op,
    nullif(i.payload, ''), decode(i.hash, 'hex'), uuids_of(r.depends_on -> i.id::text), d.decision,
    to_timestamp(i.at_ms / 1000), r.received_at, r.next_attempt_at
  FROM ROWS FROM (
    unnest(r.mutation_ids, r.hashes, r.sequences, r.scopes, r.entity_types, r.entity_ids, r.ops, r.occurred_at_ms),
    string_to_table(r.payloads, E'\n')
  ) WITH ORDINALITY AS i (id, hash, sequence, scope, type, entity, op, at_ms, payload, place)
  LEFT JOIN (
    -- Decided again after a conflict: the last word counts.
    SELECT DISTINCT ON (k.id) k.id, k.decision
    FROM ROWS FROM (unnest(r.decided_ids), string_to_table(r.decisions, E'\n')) WITH ORDINALITY AS k (id, decision, place)
    ORDER BY k.id, k.place DESC
  ) d ON d.id = i.id
  ORDER BY i.place
  ON CONFLICT (tenant_id, mutation_id) DO NOTHING;
END $$;

-- A JSON list of ids; null for none.
CREATE OR REPLACE FUNCTION uuids_of(p_ids jsonb) RETURNS uuid[]
LANGUAGE sql IMMUTABLE STRICT
AS $$ SELECT array_agg(k::uuid) FROM jsonb_array_elements_text(p_ids) k $$;

-- {id: status} of those that the ledger has, or that another device of the user has sent just now.
CREATE OR REPLACE FUNCTION dependency_statuses(p_tenant text, p_user text, p_device text, p_ids uuid[]) RETURNS json
LANGUAGE sql STABLE
AS $$
  SELECT json_object_agg(d.id, d.status) FROM (
    SELECT m.mutation_id AS id, m.status FROM mutation m
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_ids) AND m.user_id = p_user
    UNION ALL
    SELECT k, 'pending' FROM received_push r CROSS JOIN unnest(p_ids) k
    WHERE r.tenant_id = p_tenant AND r.user_id = p_user AND r.device_id <> p_device AND k = ANY (r.mutation_ids)
  ) d
$$;
