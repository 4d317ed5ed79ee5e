-- What is known of entities: as devices see them, and what the ledger knows beyond that. p_items: [{place,
-- scope, type, eid, from_revision}]; nothing is answered for a scope that the user does not hold.
-- from_revision, which may be absent: the entity is read only where the read model has this revision or a
-- later one. p_bytes: how much of the entities is read; the first that is read always has room.
-- Of one that is not read head_wire and head_writes are null, and head_revision is not.
--
-- head_*: the entity in the scope, null when the scope does not have it. told_*: the newest change made
-- through the scope of which a device of the user was told within a day; a read model with a lower revision
-- is behind it. After a day the read model counts alone: the tombstone of what was deleted is forgotten in
-- time, and what cannot be projected is a dead letter. counted: up to which of the device's own changes of
-- the entity there are answers, whatever they were. restored: the device has counted from anew, and may have
-- forgotten what it sent before that. Until it has the outcome of a change of the entity that it sent since:
-- the first of these meets what was forgotten, so that its outcome shows the entity. So does one that lost to
-- what it met. What was refused for any other reason may have been refused before that. own_sequence: the
-- highest number of its changes since then.
--
-- Plans (see push-receive.sql): each look-up is a LATERAL with LIMIT that only its own index can serve.
CREATE OR REPLACE FUNCTION read_known(
  p_tenant text, p_user text, p_device text, p_items json, p_bytes integer
) RETURNS TABLE (
  place integer, head_revision bigint, head_deleted boolean, head_clock jsonb,
  head_writes text, head_wire text,
  told_revision bigint, told_deleted boolean, told_clock text, counted bigint, restored boolean,
  own_sequence bigint
)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY
  SELECT i.place, e.revision, e.deleted, e.clock, CASE WHEN e.is_read THEN e.field_writes::text END,
    CASE WHEN e.is_read THEN shown_current(p_tenant, p_user, i.type, e.wire) END,
    t.revision, t.op = 'delete', t.clock::text,
    greatest(own.counter, refused.counter, r.counter, 0),
    s.repeated_at IS NOT NULL AND h.heard IS NULL, own.sequence
  FROM json_to_recordset(p_items) AS i (place integer, scope text, type text, eid text)
  LEFT JOIN heads_in_room(p_tenant, p_user, p_items, p_bytes) e ON e.place = i.place
  LEFT JOIN device_sequence s ON s.tenant_id = p_tenant AND s.device_id = p_device
  LEFT JOIN LATERAL (
    SELECT n.revision, n.op, clock_told(p_tenant, n.id) AS clock
    FROM newest_told(p_tenant, p_user, i.scope, i.type, i.eid) n) t ON true
  LEFT JOIN LATERAL newest_own(p_tenant, p_device, i.type, i.eid, s.repeated_at) own ON true
  LEFT JOIN LATERAL heard_since(p_tenant, p_device, i.type, i.eid, s.repeated_at) h ON true
  LEFT JOIN LATERAL (
    SELECT k.counter FROM mutation k
    WHERE k.entity_id = i.eid AND k.entity_type = i.type AND k.tenant_id = p_tenant AND k.device_id = p_device
      AND k.revision IS NULL AND k.counter IS NOT NULL AND k.terminal_at IS NOT NULL
    ORDER BY k.counter DESC LIMIT 1) refused ON true
  LEFT JOIN LATERAL (
    SELECT c.counter FROM refused_change c
    WHERE c.tenant_id = p_tenant AND c.device_id = p_device AND c.entity_type = i.type AND c.entity_id = i.eid
    LIMIT 1) r ON true
  WHERE holds_scope(p_tenant, p_user, i.scope);
END $$;

-- The entities as the scopes have them; is_read: it is to be read, and there is room for it.
CREATE OR REPLACE FUNCTION heads_in_room(p_tenant text, p_user text, p_items json, p_bytes integer)
RETURNS TABLE (place integer, revision bigint, deleted boolean, clock jsonb, field_writes jsonb, wire text,
  is_read boolean)
LANGUAGE sql STABLE AS $$
  SELECT i.place, d.revision, d.deleted, d.clock, d.field_writes, d.wire,
    d.size IS NOT NULL AND has_room(d.size, sum(d.size) OVER (ORDER BY i.place), p_bytes)
  FROM json_to_recordset(p_items)
    AS i (place integer, scope text, type text, eid text, from_revision bigint)
  CROSS JOIN LATERAL (
    SELECT s.*, CASE WHEN s.revision >= coalesce(i.from_revision, 0) THEN octet_length(s.wire) END AS size
    FROM scope_delta s
    WHERE s.tenant_id = p_tenant AND s.scope = i.scope AND s.entity_type = i.type
      AND s.entity_id = i.eid LIMIT 1) d
  WHERE holds_scope(p_tenant, p_user, i.scope)
$$;

-- Whether a change came to its turn, and lost to what stood. Looked for in front of `current`, which holds
-- what users write.
CREATE OR REPLACE FUNCTION has_lost(p_status text, p_outcome text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT p_status IN ('conflict', 'superseded') OR p_status = 'rejected'
    AND split_part(p_outcome, ',"current":', 1) LIKE '%,"code":"server_changed"%'
$$;

-- The newest change of an entity, made through the scope, of which a device of the user was told within a
-- day. The newest revision has the highest counters; those before it are looked at because it may be another
-- scope's.
CREATE OR REPLACE FUNCTION newest_told(p_tenant text, p_user text, p_scope text, p_type text, p_id text)
RETURNS TABLE (id uuid, revision bigint, op text)
LANGUAGE sql STABLE AS $$
  SELECT n.mutation_id, n.revision, n.op FROM (
    SELECT k.mutation_id, k.revision, k.scope, k.op, k.terminal_at, k.user_id FROM mutation k
    WHERE k.entity_id = p_id AND k.entity_type = p_type AND k.tenant_id = p_tenant AND k.revision IS NOT NULL
    ORDER BY k.entity_id DESC, k.entity_type DESC, k.tenant_id DESC, k.revision DESC LIMIT 20) n
  WHERE n.user_id = p_user AND n.scope = p_scope AND n.terminal_at > clock_timestamp() - interval '1 day'
  ORDER BY n.revision DESC LIMIT 1
$$;

-- The clock of an outcome.
CREATE OR REPLACE FUNCTION clock_told(p_tenant text, p_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
  SELECT m.outcome::json -> 'clock' FROM mutation m WHERE m.tenant_id = p_tenant AND m.mutation_id = p_id
$$;

-- The device's own newest change of an entity: up to which of its changes that counts, and the highest
-- number that came since p_since. The newest revision has the highest counters; those before it are looked at
-- because it may be another device's.
CREATE OR REPLACE FUNCTION newest_own(
  p_tenant text, p_device text, p_type text, p_id text, p_since timestamptz
) RETURNS TABLE (sequence bigint, counter bigint)
LANGUAGE sql STABLE AS $$
  SELECT max(n.sequence) FILTER (WHERE n.received_at >= coalesce(p_since, '-infinity')) OVER (),
    (clock_told(p_tenant, n.mutation_id) ->> ('d:' || p_device))::bigint
  FROM (
    SELECT k.mutation_id, k.revision, k.device_id, k.received_at, k.sequence FROM mutation k
    WHERE k.entity_id = p_id AND k.entity_type = p_type AND k.tenant_id = p_tenant AND k.revision IS NOT NULL
    ORDER BY k.entity_id DESC, k.entity_type DESC, k.tenant_id DESC, k.revision DESC LIMIT 20) n
  WHERE n.device_id = p_device
  ORDER BY n.revision DESC LIMIT 1
$$;

-- Whether the device has the outcome of a change of the entity that came since p_since and met what stood.
CREATE OR REPLACE FUNCTION heard_since(
  p_tenant text, p_device text, p_type text, p_id text, p_since timestamptz
) RETURNS TABLE (heard boolean)
LANGUAGE sql STABLE AS $$
  SELECT true FROM (
    (SELECT k.device_id, k.received_at, k.acked_at FROM mutation k
      WHERE p_since IS NOT NULL AND k.entity_id = p_id AND k.entity_type = p_type
        AND k.tenant_id = p_tenant AND k.revision IS NOT NULL
      ORDER BY k.entity_id DESC, k.entity_type DESC, k.tenant_id DESC, k.revision DESC LIMIT 200)
    UNION ALL
    (SELECT k.device_id, k.received_at, k.acked_at FROM mutation k
      WHERE p_since IS NOT NULL AND k.entity_id = p_id AND k.entity_type = p_type
        AND k.tenant_id = p_tenant AND k.device_id = p_device
        AND k.revision IS NULL AND k.counter IS NOT NULL AND k.terminal_at IS NOT NULL
        AND has_lost(k.status, k.outcome)
      ORDER BY k.counter DESC LIMIT 200)) n
  WHERE n.device_id = p_device AND n.acked_at IS NOT NULL AND n.received_at >= p_since
  LIMIT 1
$$;
