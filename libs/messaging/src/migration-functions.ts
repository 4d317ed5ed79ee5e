/**
 * FNV-1a, 32 bits, over the UTF-8 bytes, modulo the number of partitions (Fowler, Noll, Vo; RFC 9923). The
 * same as `partitionOf` in partition.ts; a test compares both.
 */
const PARTITION_OF = `
CREATE FUNCTION sync_partition_of(p_key text, p_partitions integer) RETURNS integer
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  v_bytes bytea := convert_to(p_key, 'UTF8');
  v_hash bigint := 2166136261;
BEGIN
  FOR i IN 0 .. length(v_bytes) - 1 LOOP
    v_hash := ((v_hash # get_byte(v_bytes, i)) * 16777619) & 4294967295;
  END LOOP;
  RETURN (v_hash % p_partitions)::integer;
END $$;
`;

/** For SQL functions that write their message in the same statement as their state. */
const APPEND_OUTBOX = `
CREATE FUNCTION sync_append_outbox(p_stream text, p_partition integer, p_payload text) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO sync_outbox (stream, partition, payload) VALUES (p_stream, p_partition, p_payload);
$$;
`;

/**
 * What {@link OUTBOX_NUMBER} replaced: processes of an older version call it. It numbers what waits and
 * returns what is to be published, for all given partitions in one round trip.
 *
 * An idle partition costs two index probes and writes nothing: locks write too, so the lease is locked only
 * when there is something to number. \`p_after\` is the last number the relay holds as published. The lease
 * is locked FOR KEY SHARE until commit: a takeover needs FOR UPDATE and cannot slip in between check and
 * commit.
 *
 * The planner is held to index order and row addresses: on a table without statistics it joined the waiting
 * rows with themselves, 600 ms for 256 of 5,000 rows instead of 4 ms. Addresses (ctid) are safe within one
 * transaction: only the lease's holder changes rows, and what moves rows (VACUUM FULL) waits for us.
 */
const OUTBOX_TAKE = `
CREATE FUNCTION sync_outbox_take(
  p_streams text[], p_partitions integer[], p_after bigint[],
  p_leases text[], p_holder text, p_tokens bigint[], p_rows integer, p_bytes integer
) RETURNS TABLE (stream text, partition integer, number bigint, payload text, head bigint)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_head bigint;
  v_waiting tid[];
BEGIN
  FOR i IN 1 .. cardinality(p_streams) LOOP
    IF EXISTS (SELECT FROM sync_outbox o
               WHERE o.stream = p_streams[i] AND o.partition = p_partitions[i] AND o.number IS NULL) THEN
      PERFORM FROM sync_lease l
        WHERE l.name = p_leases[i] AND l.holder = p_holder AND l.token = p_tokens[i]
          AND l.expires_at > clock_timestamp()
        FOR KEY SHARE;
      CONTINUE WHEN NOT FOUND;
      SELECT h.number INTO STRICT v_head FROM sync_outbox_head h
        WHERE h.stream = p_streams[i] AND h.partition = p_partitions[i] FOR UPDATE;
      v_waiting := ARRAY (
        SELECT o.ctid FROM sync_outbox o
        WHERE o.stream = p_streams[i] AND o.partition = p_partitions[i] AND o.number IS NULL
        ORDER BY o.id LIMIT p_rows);
      UPDATE sync_outbox o SET number = v_head + w.place
        FROM unnest(v_waiting) WITH ORDINALITY AS w (address, place) WHERE o.ctid = w.address;
      v_head := v_head + cardinality(v_waiting);
      UPDATE sync_outbox_head h SET number = v_head
        WHERE h.stream = p_streams[i] AND h.partition = p_partitions[i];
    ELSE
      SELECT h.number INTO STRICT v_head FROM sync_outbox_head h
        WHERE h.stream = p_streams[i] AND h.partition = p_partitions[i];
    END IF;
    CONTINUE WHEN v_head <= p_after[i];
    RETURN QUERY
      SELECT p_streams[i], p_partitions[i], page.number, page.payload, v_head
      FROM (
        SELECT o.number, o.payload, sum(octet_length(o.payload)) OVER (ORDER BY o.number) AS bytes
        FROM (SELECT k.number, k.payload FROM sync_outbox k
              WHERE k.stream = p_streams[i] AND k.partition = p_partitions[i] AND k.number > p_after[i]
              ORDER BY k.number LIMIT p_rows) o
      ) page
      WHERE page.bytes - octet_length(page.payload) < p_bytes
      ORDER BY page.number;
  END LOOP;
END $$;
`;

/**
 * Numbers what waits and returns what is to be published, for all given partitions in one round trip.
 *
 * A partition with numbers that are not published yet (\`p_after\` is the last one that is) returns these and
 * numbers nothing. An idle partition costs two index probes and writes nothing: locks write too, so the lease
 * is locked only when there is something to number. It is locked FOR KEY SHARE until commit: a takeover needs
 * FOR UPDATE and cannot slip in between check and commit.
 *
 * A call whose connection is gone may still be at its commit, under the same lease. So the head moves only
 * from where this call has read it: what the other one numbered meanwhile is neither numbered again nor
 * deleted.
 *
 * Where a partition gathers, what waits becomes one message that ends at 256 KiB, or before a row with which
 * it would be larger than the table allows. The oldest row gets the elements of all arrays, and the others
 * are deleted, which costs less than to write each of them once more with a number. Something that is no
 * array is sent by itself.
 *
 * The planner is held to index order and row addresses: on a table without statistics it joined the waiting
 * rows with themselves, 600 ms for 256 of 5,000 rows instead of 4 ms. Addresses (ctid) are safe within one
 * transaction: only the lease's holder changes rows, and what moves rows (VACUUM FULL) waits for us.
 */
export const OUTBOX_NUMBER = `
CREATE FUNCTION sync_outbox_number(
  p_streams text[], p_partitions integer[], p_after bigint[],
  p_leases text[], p_holder text, p_tokens bigint[], p_gathers boolean[], p_rows integer, p_bytes integer
) RETURNS TABLE (stream text, partition integer, number bigint, payload text, head bigint, more boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_place record;
  v_waiting tid[];
  v_gathered text;
  v_more boolean;
  v_head bigint;
BEGIN
  FOR v_place IN
    SELECT u.stream, u.partition, u.after, u.lease, u.token, u.gathers, h.number AS head
    FROM unnest(p_streams, p_partitions, p_after, p_leases, p_tokens, p_gathers)
      WITH ORDINALITY AS u (stream, partition, after, lease, token, gathers, place)
    JOIN sync_outbox_head h ON h.stream = u.stream AND h.partition = u.partition
    WHERE h.number > u.after OR EXISTS (
      SELECT FROM sync_outbox o WHERE o.stream = u.stream AND o.partition = u.partition AND o.number IS NULL)
    ORDER BY u.place
  LOOP
    IF v_place.head > v_place.after THEN
      RETURN QUERY SELECT * FROM sync_outbox_unpublished(
        v_place.stream, v_place.partition, v_place.after, v_place.head, p_rows, p_bytes);
      CONTINUE;
    END IF;
    PERFORM FROM sync_lease l
      WHERE l.name = v_place.lease AND l.holder = p_holder AND l.token = v_place.token
        AND l.expires_at > clock_timestamp()
      FOR KEY SHARE;
    CONTINUE WHEN NOT FOUND;
    SELECT w.addresses, w.gathered, w.more INTO v_waiting, v_gathered, v_more
      FROM sync_outbox_waiting(v_place.stream, v_place.partition, v_place.gathers, p_rows, p_bytes) w;
    UPDATE sync_outbox_head h
      SET number = h.number + CASE WHEN v_gathered IS NULL THEN cardinality(v_waiting) ELSE 1 END
      WHERE h.stream = v_place.stream AND h.partition = v_place.partition AND h.number = v_place.head
      RETURNING h.number INTO v_head;
    CONTINUE WHEN NOT FOUND;
    IF v_gathered IS NOT NULL THEN
      DELETE FROM sync_outbox o USING unnest(v_waiting[2:]) AS w (address) WHERE o.ctid = w.address;
      v_waiting := v_waiting[:1];
    END IF;
    RETURN QUERY
      UPDATE sync_outbox o SET
        number = v_place.head + w.place, payload = coalesce(v_gathered, o.payload)
      FROM unnest(v_waiting) WITH ORDINALITY AS w (address, place) WHERE o.ctid = w.address
      RETURNING v_place.stream, v_place.partition, o.number, o.payload, v_head, v_more;
  END LOOP;
END $$;

-- What waits for a number, in order, as much as fits a page; and where it gathers and can, as one array.
CREATE FUNCTION sync_outbox_waiting(
  p_stream text, p_partition integer, p_gathers boolean, p_rows integer, p_bytes integer,
  OUT addresses tid[], OUT gathered text, OUT more boolean
)
LANGUAGE plpgsql AS $$
BEGIN
  SELECT array_agg(w.address) FILTER (WHERE w.fits), count(*) = p_rows OR NOT bool_and(w.fits)
    INTO addresses, more
    FROM (
      SELECT o.address, CASE WHEN p_gathers
        THEN sum(o.bytes) OVER w - o.bytes < least(p_bytes, 262144) AND sum(o.bytes) OVER w <= 983040
        ELSE sum(o.bytes) OVER w - o.bytes < p_bytes END AS fits
      FROM (SELECT k.id, k.ctid AS address, octet_length(k.payload) AS bytes FROM sync_outbox k
            WHERE k.stream = p_stream AND k.partition = p_partition AND k.number IS NULL
            ORDER BY k.id LIMIT p_rows) o
      WINDOW w AS (ORDER BY o.id)
    ) w;
  IF NOT p_gathers OR cardinality(addresses) < 2 THEN RETURN; END IF;
  SELECT '[' || string_agg(nullif(e.elements, ''), ',' ORDER BY o.id) || ']' INTO gathered
    FROM unnest(addresses) AS w (address) JOIN sync_outbox o ON o.ctid = w.address
    CROSS JOIN LATERAL substr(o.payload, 2, greatest(length(o.payload) - 2, 0)) AS e (elements)
    HAVING bool_and(o.payload LIKE '[%]');
END $$;

-- What has a number and is not known to be published.
CREATE FUNCTION sync_outbox_unpublished(
  p_stream text, p_partition integer, p_after bigint, p_head bigint, p_rows integer, p_bytes integer
) RETURNS TABLE (stream text, partition integer, number bigint, payload text, head bigint, more boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT p_stream, p_partition, page.number, page.payload, p_head, true
    FROM (
      SELECT o.number, o.payload, sum(octet_length(o.payload)) OVER (ORDER BY o.number) AS bytes
      FROM (SELECT k.number, k.payload FROM sync_outbox k
            WHERE k.stream = p_stream AND k.partition = p_partition AND k.number > p_after
            ORDER BY k.number LIMIT p_rows) o
    ) page
    WHERE page.bytes - octet_length(page.payload) < p_bytes
    ORDER BY page.number;
END $$;
`;

/**
 * What {@link INBOX_ADVANCE} replaced, with one lane in a transaction: processes of an older version call it.
 *
 * Answers \`ok\`, \`lease_lost\` (nothing was written) or \`moved\` (somebody else has advanced the
 * watermark). A null \`p_number\` is a batch without numbers: only the lease is checked.
 */
const INBOX_BEGIN = `
CREATE FUNCTION sync_inbox_begin(
  p_lease text, p_holder text, p_token bigint,
  p_consumer text, p_stream text, p_producer text, p_partition integer, p_epoch text,
  p_expected bigint, p_number bigint, p_tenants text
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('idle_in_transaction_session_timeout', '10000', true);
  PERFORM FROM sync_lease l
    WHERE l.name = p_lease AND l.holder = p_holder AND l.token = p_token AND l.expires_at > clock_timestamp()
    FOR KEY SHARE;
  IF NOT FOUND THEN RETURN 'lease_lost'; END IF;
  IF p_tenants IS NOT NULL THEN PERFORM set_config('app.tenant', p_tenants, true); END IF;
  IF p_number IS NULL THEN RETURN 'ok'; END IF;
  IF p_expected = 0 THEN
    INSERT INTO sync_inbox AS i (consumer, stream, producer, partition, epoch, number)
      VALUES (p_consumer, p_stream, p_producer, p_partition, p_epoch, p_number)
      ON CONFLICT (consumer, stream, producer, partition, epoch)
      DO UPDATE SET number = excluded.number WHERE i.number = 0;
  ELSE
    UPDATE sync_inbox SET number = p_number
      WHERE consumer = p_consumer AND stream = p_stream AND producer = p_producer
        AND partition = p_partition AND epoch = p_epoch AND number = p_expected;
  END IF;
  RETURN CASE WHEN FOUND THEN 'ok' ELSE 'moved' END;
END $$;
`;

/**
 * First statement of a consumer's transaction: leases, watermarks and tenants of all its lanes in one round
 * trip.
 *
 * Answers for each lane \`ok\`, \`lease_lost\` or \`moved\` (somebody else has advanced the watermark); of a
 * lane that is not ok nothing was written, and its tenants are not set. Expected null is a batch without
 * numbers: only the lease is checked. No two transactions ever touch the same watermark, because each of them
 * would have to hold the lease of its partition: the order of the lanes is free. A process that hangs between
 * two statements holds the row locks of its leases; Postgres ends it after 10 s instead of never.
 */
export const INBOX_ADVANCE = `
CREATE FUNCTION sync_inbox_advance(
  p_leases text[], p_holders text[], p_tokens bigint[],
  p_consumers text[], p_streams text[], p_producers text[], p_partitions integer[], p_epochs text[],
  p_expected bigint[], p_numbers bigint[], p_tenants text[]
) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  v_verdicts text[];
  v_tenants text[];
BEGIN
  PERFORM set_config('idle_in_transaction_session_timeout', '10000', true);
  FOR i IN 1 .. cardinality(p_leases) LOOP
    PERFORM FROM sync_lease l
      WHERE l.name = p_leases[i] AND l.holder = p_holders[i] AND l.token = p_tokens[i]
        AND l.expires_at > clock_timestamp()
      FOR KEY SHARE;
    IF NOT FOUND THEN
      v_verdicts[i] := 'lease_lost';
      CONTINUE;
    END IF;
    IF p_expected[i] = 0 THEN
      INSERT INTO sync_inbox AS n (consumer, stream, producer, partition, epoch, number)
        VALUES (p_consumers[i], p_streams[i], p_producers[i], p_partitions[i], p_epochs[i], p_numbers[i])
        ON CONFLICT (consumer, stream, producer, partition, epoch)
        DO UPDATE SET number = excluded.number WHERE n.number = 0;
    ELSIF p_expected[i] > 0 THEN
      UPDATE sync_inbox SET number = p_numbers[i]
        WHERE consumer = p_consumers[i] AND stream = p_streams[i] AND producer = p_producers[i]
          AND partition = p_partitions[i] AND epoch = p_epochs[i] AND number = p_expected[i];
    END IF;
    v_verdicts[i] := CASE WHEN FOUND THEN 'ok' ELSE 'moved' END;
    IF FOUND AND p_tenants[i] IS NOT NULL THEN v_tenants := array_append(v_tenants, p_tenants[i]); END IF;
  END LOOP;
  IF v_tenants IS NOT NULL THEN
    PERFORM set_config('app.tenant', (
      SELECT string_agg(DISTINCT t, ',') FROM string_to_table(array_to_string(v_tenants, ','), ',') t), true);
  END IF;
  RETURN v_verdicts;
END $$;
`;

/**
 * One heartbeat of one worker: keeps its membership and its leases alive, says what its fair share is and
 * takes what it lacks from the free and the expired ones. All times are the database's.
 *
 * Fair share: n names over m members, the first (n mod m) members in the order of a hash one more. The hash
 * mixes the group in, so that the extra names of many groups do not all go to one worker. Takeover locks FOR
 * UPDATE with SKIP LOCKED: a transaction that holds the lease (KEY SHARE) is never overtaken, and two takers
 * never wait for each other. \`next_expiry_ms\` says when somebody else's lease or membership may run out.
 */
const LEASE_TICK = `
CREATE FUNCTION sync_lease_tick(p_group text, p_holder text, p_names text[], p_ttl_ms integer)
RETURNS TABLE (name text, token bigint, target integer, next_expiry_ms integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_expires timestamptz := v_now + p_ttl_ms * interval '1 millisecond';
  v_prefix text := 'member:' || p_group || ':';
  v_members integer;
  v_rank integer;
  v_held integer;
  v_target integer;
  v_next integer;
BEGIN
  INSERT INTO sync_lease AS l (name, holder, token, expires_at)
    VALUES (v_prefix || p_holder, p_holder, 1, v_expires)
    ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at;
  UPDATE sync_lease l SET expires_at = v_expires WHERE l.name = ANY (p_names) AND l.holder = p_holder;
  GET DIAGNOSTICS v_held = ROW_COUNT;
  SELECT count(*), count(*) FILTER (WHERE md5(p_group || l.holder) < md5(p_group || p_holder))
    INTO v_members, v_rank
    FROM sync_lease l WHERE starts_with(l.name, v_prefix) AND l.expires_at > v_now;
  v_target := cardinality(p_names) / v_members
    + CASE WHEN v_rank < cardinality(p_names) % v_members THEN 1 ELSE 0 END;
  IF v_held < v_target THEN
    INSERT INTO sync_lease (name, holder, token, expires_at)
      SELECT n, '', 0, '-infinity' FROM unnest(p_names) n
      WHERE NOT EXISTS (SELECT FROM sync_lease l WHERE l.name = n) ORDER BY n
      ON CONFLICT (name) DO NOTHING;
    UPDATE sync_lease l SET holder = p_holder, token = l.token + 1, expires_at = v_expires
      FROM (SELECT f.name FROM sync_lease f
            WHERE f.name = ANY (p_names) AND f.holder <> p_holder AND f.expires_at <= v_now
            ORDER BY md5(f.name || p_holder) LIMIT v_target - v_held FOR UPDATE SKIP LOCKED) free
      WHERE l.name = free.name;
  END IF;
  DELETE FROM sync_lease d USING (
    SELECT g.name FROM sync_lease g
    WHERE starts_with(g.name, 'member:')
      AND g.expires_at < v_now - interval '1 minute' FOR UPDATE SKIP LOCKED) gone
    WHERE d.name = gone.name;
  SELECT ceil(extract(epoch FROM min(l.expires_at) - v_now) * 1000)::integer INTO v_next FROM sync_lease l
    WHERE (l.name = ANY (p_names) OR starts_with(l.name, v_prefix)) AND l.holder <> p_holder
      AND l.expires_at > v_now;
  RETURN QUERY
    SELECT l.name, l.token, v_target, v_next
    FROM (SELECT 1) one LEFT JOIN sync_lease l ON l.name = ANY (p_names) AND l.holder = p_holder;
END $$;

CREATE FUNCTION sync_lease_release(p_group text, p_holder text, p_names text[], p_leave boolean) RETURNS void
LANGUAGE sql AS $$
  UPDATE sync_lease SET holder = '', expires_at = '-infinity' WHERE name = ANY (p_names)
    AND holder = p_holder;
  DELETE FROM sync_lease WHERE p_leave AND name = 'member:' || p_group || ':' || p_holder;
$$;
`;

/** SQL functions of the hop, in the order of their creation. */
export const MESSAGING_FUNCTIONS = [PARTITION_OF, APPEND_OUTBOX, OUTBOX_TAKE, INBOX_BEGIN, LEASE_TICK].join(
  '\n',
);
