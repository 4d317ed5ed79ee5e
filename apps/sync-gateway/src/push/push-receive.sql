-- First round trip of a push: stores what is new and says about each mutation what has to be known to go on.
--
-- p_items, one object per mutation (ids distinct): {id, hash (hex), seq?, scope?, type?, eid?, op?, clock?, atMs?, deps?: [id], head: whether to
-- look up the entity}. What matches no schema has id and hash only. p_payloads has one line per item, its payload as JSON text or
-- nothing: inside the objects it would be parsed twice, 1.5 ms for 100 statements.
--
-- verdict: 'new'; for the same payload of the same device 'answered' (with its outcome), 'accepted' (answered so, still open) or 'pending' (being
-- handled by somebody else, or left by a crash); 'reused' for another payload or device.
-- waiting: an earlier mutation of the same device and entity is still open. dependencies: {id: status} of those that are in the ledger.
--
-- Its commit does not wait for the disk: nothing is answered before push_complete, whose commit writes out everything before it. Losing
-- these rows in a crash of Postgres means that the device got no answer and sends them again.
--
-- Plans: without statistics (a fresh database, before the first analyze) and with them (forced row level security names the tenant twice) the planner
-- takes a tenant or a scope for nearly empty, reads all its rows to join them, and a cached plan goes on doing so while they grow: 990 ms at
-- 300,000 rows. So every look-up here is written such that only its own index can serve it: LATERAL with LIMIT for the ledger's key; and
-- for scope_delta its primary key, because the other index that begins alike is partial (see database/order-index.ts).
DROP FUNCTION IF EXISTS push_receive(text, text, text, json, integer, integer);
CREATE OR REPLACE FUNCTION push_receive(
  p_tenant text, p_user text, p_device text, p_items json, p_payloads text, p_visible_ms integer, p_max_open integer
) RETURNS TABLE (
  place integer, verdict text, outcome text, held boolean, waiting boolean, dependencies json,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_visible timestamptz := clock_timestamp() + p_visible_ms * interval '1 millisecond';
  v_open integer;
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true), set_config('synchronous_commit', 'off', true);
  INSERT INTO known_tenant (id) SELECT p_tenant WHERE NOT EXISTS (SELECT FROM known_tenant k WHERE k.id = p_tenant)
    ON CONFLICT DO NOTHING;
  -- The device's lock: receiving and completing in two replicas at once must see each other's rows.
  INSERT INTO dispatch_queue AS q (tenant_id, device_id, next_attempt_at) VALUES (p_tenant, p_device, v_visible)
    ON CONFLICT (tenant_id, device_id)
    DO UPDATE SET next_attempt_at = least(q.next_attempt_at, excluded.next_attempt_at);
  SELECT count(*) INTO v_open FROM (
    SELECT FROM mutation m WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
    LIMIT p_max_open) open;
  IF v_open >= p_max_open THEN
    RAISE EXCEPTION 'device has % mutations without an outcome', v_open USING ERRCODE = 'SY001';
  END IF;
  RETURN QUERY
  WITH item AS MATERIALIZED (
    SELECT *, (i.ordinality - 1)::integer AS place FROM ROWS FROM (
      json_to_recordset(p_items) AS (
        id uuid, hash text, seq bigint, scope text, type text, eid text, op text, clock jsonb, "atMs" double precision,
        deps uuid[], head boolean),
      string_to_table(p_payloads, E'\n')
    ) WITH ORDINALITY AS i (id, hash, seq, scope, type, eid, op, clock, "atMs", deps, head, payload, ordinality)
  ), scopes AS MATERIALIZED (
    SELECT s.scope, holds_scope(p_tenant, p_user, s.scope) AS held
    FROM (SELECT DISTINCT i.scope FROM item i WHERE i.scope IS NOT NULL) s
  ), added AS (
    INSERT INTO mutation AS m (tenant_id, mutation_id, user_id, device_id, sequence, scope, entity_type, entity_id, op,
      payload, payload_hash, clock, depends_on, occurred_at, next_attempt_at)
    SELECT p_tenant, i.id, p_user, p_device, i.seq, i.scope, i.type, i.eid, i.op,
      nullif(i.payload, ''), decode(i.hash, 'hex'), i.clock, i.deps, to_timestamp(i."atMs" / 1000), v_visible
    FROM item i ORDER BY i.place
    ON CONFLICT (tenant_id, mutation_id) DO NOTHING
    RETURNING m.mutation_id
  )
  SELECT i.place,
    CASE WHEN a.mutation_id IS NOT NULL THEN 'new'
         WHEN m.payload_hash = decode(i.hash, 'hex') AND m.device_id = p_device AND m.user_id = p_user
         THEN CASE WHEN m.outcome IS NULL THEN m.status ELSE 'answered' END
         ELSE 'reused' END,
    m.outcome,
    coalesce(s.held, false),
    v_open > 0 AND (
      SELECT true FROM mutation o
      WHERE o.tenant_id = p_tenant AND o.device_id = p_device AND o.entity_type = i.type AND o.entity_id = i.eid
        AND o.terminal_at IS NULL
      ORDER BY o.arrival LIMIT 1) IS NOT NULL,
    CASE WHEN i.deps IS NOT NULL THEN (
      SELECT json_object_agg(d.mutation_id, d.status) FROM mutation d
      WHERE d.tenant_id = p_tenant AND d.mutation_id = ANY (i.deps) AND d.user_id = p_user) END,
    e.revision, e.deleted, e.clock, e.field_writes::text, e.wire
  FROM item i
  LEFT JOIN added a ON a.mutation_id = i.id
  LEFT JOIN LATERAL (
    SELECT k.* FROM mutation k
    WHERE a.mutation_id IS NULL AND k.tenant_id = p_tenant AND k.mutation_id = i.id LIMIT 1) m ON true
  LEFT JOIN scopes s ON s.scope = i.scope
  LEFT JOIN LATERAL (
    SELECT d.* FROM scope_delta d
    WHERE i.head AND s.held
      AND (m.outcome IS NULL OR m.payload_hash <> decode(i.hash, 'hex') OR m.device_id <> p_device)
      AND d.tenant_id = p_tenant AND d.scope = i.scope AND d.entity_type = i.type
      AND d.entity_id = i.eid LIMIT 1) e ON true
  ORDER BY i.place;
  -- A push that brought nothing new leaves nothing to do.
  IF v_open = 0 AND NOT EXISTS (
    SELECT FROM mutation m WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL)
  THEN
    DELETE FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device;
  END IF;
END $$;
