-- Devices with work that is due, each taken by one dispatcher only: taking moves the time on, so that a
-- dispatcher that dies gives its devices back by itself. Where nothing is due, a row of nulls tells that
-- there is work for later. Cross-tenant; reads no tenant's rows.
CREATE OR REPLACE FUNCTION dispatch_take(p_limit integer, p_visible_ms integer)
RETURNS TABLE (tenant_id text, device_id text)
LANGUAGE sql AS $$
  WITH taken AS (
    UPDATE dispatch_queue q
      SET next_attempt_at = clock_timestamp() + p_visible_ms * interval '1 millisecond'
      FROM (SELECT d.tenant_id, d.device_id FROM dispatch_queue d WHERE d.next_attempt_at <= clock_timestamp()
            ORDER BY d.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
      WHERE q.tenant_id = due.tenant_id AND q.device_id = due.device_id
      RETURNING q.tenant_id, q.device_id)
  SELECT t.tenant_id, t.device_id FROM taken t
  UNION ALL
  SELECT NULL, NULL WHERE NOT EXISTS (SELECT FROM taken) AND EXISTS (SELECT FROM dispatch_queue);
$$;

-- The due work of one taken device: whole lanes (entities) in their order of arrival, of which the first
-- mutation is due. Each row's attempt is one higher afterwards: what an earlier attempt still does can no
-- longer be stored. p_bytes: of payloads and entities together; the rest is due still, and comes next. Each
-- entity is answered once, with the first mutation that sees it through its scope.
-- Look-ups are written so that only their own index can serve them: see push-receive.sql.
CREATE OR REPLACE FUNCTION dispatch_load(
  p_tenant text, p_device text, p_visible_ms integer, p_limit integer, p_bytes integer
) RETURNS TABLE (
  mutation_id uuid, user_id text, status text, attempts integer, may_be_sent boolean, decision text,
  last_error text, failures integer, failing_since_ms double precision, payload text,
  occurred_at_ms double precision, received_at_ms double precision, anew boolean, held boolean,
  once_held boolean, payload_hash text, stored_scope text, dependencies json, in_circle boolean,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_ids uuid[];
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM FROM dispatch_queue q WHERE q.tenant_id = p_tenant AND q.device_id = p_device FOR UPDATE;
  PERFORM push_spread(p_tenant, p_device);
  v_ids := due_mutations(p_tenant, p_device, v_now, p_limit, p_bytes);
  RETURN QUERY
  WITH taken AS (
    UPDATE mutation m SET attempts = m.attempts + 1,
      next_attempt_at = v_now + p_visible_ms * interval '1 millisecond'
    WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (v_ids)
    RETURNING m.*
  )
  SELECT t.mutation_id, t.user_id, t.status, t.attempts, t.may_be_sent, t.decision, t.last_error, t.failures,
    epoch_ms(t.failing_since), t.payload, epoch_ms(t.occurred_at), epoch_ms(t.received_at),
    EXISTS (SELECT FROM device_sequence s
      WHERE s.tenant_id = p_tenant AND s.device_id = p_device AND s.repeated_at < t.received_at),
    t.scope IS NOT NULL AND holds_scope(p_tenant, t.user_id, t.scope),
    held_once(p_tenant, t.user_id, t.scope), encode(t.payload_hash, 'hex'), t.scope,
    CASE WHEN t.depends_on IS NOT NULL
      THEN dependency_statuses(p_tenant, t.user_id, p_device, t.depends_on) END,
    coalesce(t.last_error = 'dependency_waits' AND waits_for_itself(p_tenant, t.mutation_id), false),
    e.revision, e.deleted, e.clock, e.field_writes::text,
    shown_current(p_tenant, t.user_id, e.entity_type, e.wire)
  FROM (
    SELECT k.*, row_number() OVER (
      PARTITION BY k.user_id, k.scope, k.entity_type, k.entity_id ORDER BY k.arrival) AS mention
    FROM taken k) t
  LEFT JOIN LATERAL (
    SELECT d.* FROM scope_delta d
    WHERE t.mention = 1 AND d.tenant_id = p_tenant AND d.scope = t.scope
      AND d.entity_type = t.entity_type AND d.entity_id = t.entity_id LIMIT 1) e
    ON holds_scope(p_tenant, t.user_id, t.scope)
  ORDER BY t.arrival;
END $$;

-- The open mutations of a device whose lane is due, as many as p_bytes have room for. A lane is an entity's:
-- what is behind its first one cannot go on before that has.
CREATE OR REPLACE FUNCTION due_mutations(
  p_tenant text, p_device text, p_now timestamptz, p_limit integer, p_bytes integer
) RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN ARRAY(SELECT m.mutation_id FROM (
    SELECT due.*,
      has_room(due.size, sum(due.size) OVER (ORDER BY due.due_at, due.arrival), p_bytes) AS has_room
    FROM (
      SELECT o.mutation_id, o.due_at, o.arrival,
        coalesce(o.size, 0) + CASE WHEN o.mention = 1 THEN coalesce(e.size, 0) ELSE 0 END AS size
      FROM (
        SELECT m.mutation_id, m.arrival, m.scope, m.entity_type, m.entity_id, octet_length(m.payload) AS size,
          first_value(m.next_attempt_at) OVER lane AS due_at,
          row_number() OVER (
            PARTITION BY m.user_id, m.scope, m.entity_type, m.entity_id ORDER BY m.arrival) AS mention
        FROM mutation m
        WHERE m.tenant_id = p_tenant AND m.device_id = p_device AND m.terminal_at IS NULL
        WINDOW lane AS (PARTITION BY m.entity_type, m.entity_id ORDER BY m.arrival)) o
      LEFT JOIN LATERAL (
        SELECT octet_length(d.wire) AS size FROM scope_delta d
        WHERE d.tenant_id = p_tenant AND d.scope = o.scope
          AND d.entity_type = o.entity_type AND d.entity_id = o.entity_id LIMIT 1) e ON true
      WHERE o.due_at <= p_now ORDER BY o.due_at, o.arrival LIMIT p_limit) due) m
  WHERE m.has_room);
END $$;

CREATE OR REPLACE FUNCTION epoch_ms(p_at timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$ SELECT extract(epoch FROM p_at)::double precision * 1000 $$;

-- Nothing was due after all: sets the device's time to what its ledger says, or takes it out of the queue.
CREATE OR REPLACE FUNCTION dispatch_release(p_tenant text, p_device text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off -- as in push-complete.sql
AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  PERFORM hold_device(p_tenant, p_device, clock_timestamp());
  PERFORM plan_turn(p_tenant, p_device, false);
END $$;

-- Whether an open mutation waits for itself, along dependsOn and the order of entities. In one push that is
-- found when it comes; but a mutation may wait for one that has not come, and that one depend on it. What
-- overtakes in its lane (see push-receive.sql) does not wait for what it overtakes.
CREATE OR REPLACE FUNCTION waits_for_itself(p_tenant text, p_id uuid) RETURNS boolean
LANGUAGE sql STABLE
SET enable_seqscan = off
AS $$
  WITH RECURSIVE need (id) AS (
    SELECT unnest(m.depends_on) FROM mutation m WHERE m.tenant_id = p_tenant AND m.mutation_id = p_id
    UNION
    SELECT next.id FROM need n
    JOIN mutation m ON m.tenant_id = p_tenant AND m.mutation_id = n.id AND m.terminal_at IS NULL
    CROSS JOIN LATERAL (
      SELECT unnest(m.depends_on) AS id
      UNION ALL
      (SELECT o.mutation_id FROM mutation o
       WHERE o.tenant_id = p_tenant AND o.device_id = m.device_id AND o.entity_type = m.entity_type
         AND o.entity_id = m.entity_id AND o.terminal_at IS NULL AND o.arrival < m.arrival
         AND NOT waits_for(o, m.mutation_id, m.payload)
       ORDER BY o.arrival DESC LIMIT 1)) next
  )
  SELECT EXISTS (SELECT FROM need WHERE id = p_id)
$$;
