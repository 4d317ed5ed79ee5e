-- Last round trip of a push, and of the dispatcher: `push_complete` for each of several devices, in one
-- transaction and one commit.
--
-- Arrays of pushes: p_tenants to p_shown, which are columns of ended_push, and p_until, the number of
-- mutations up to the end of each push. Arrays of mutations, those of one push after those of another: p_ids
-- to p_revisions. p_outcomes are the lines of push after push, U+001E between two of them.
--
-- What there is to tell of all of them is written once for each partition: every message costs its relay, the
-- broker and three consumers the same, however little it says.
--
-- Of several, a push at which anything goes wrong is answered with `failed`, as in push-receive-together.sql.
-- A push of which there is nothing to say has no row.
CREATE OR REPLACE FUNCTION push_complete_together(
  p_tenants text[], p_users text[], p_devices text[], p_more text[], p_told text[], p_conflicts text[],
  p_partitions integer[], p_shown text[], p_until integer[],
  p_ids uuid[], p_attempts integer[], p_statuses text[], p_revisions bigint[], p_outcomes text
) RETURNS TABLE (call integer, failed boolean, mutation_id uuid, outcome text)
LANGUAGE plpgsql
AS $$
DECLARE
  v_outcomes text[] := string_to_array(p_outcomes, E'\x1e');
  v_told text[] := array_fill(NULL::text, ARRAY[cardinality(p_tenants)]);
  v_from integer;
  v_to integer;
  v_end ended_push;
  v_done record;
BEGIN
  IF cardinality(p_tenants) > 1 THEN
    PERFORM set_config('lock_timeout', '100ms', true);
  END IF;
  FOR v_at IN 1..cardinality(p_tenants) LOOP
    v_from := coalesce(p_until[v_at - 1], 0) + 1;
    v_to := p_until[v_at];
    v_end := ROW(p_tenants[v_at], p_users[v_at], p_devices[v_at], p_more[v_at]::json, p_told[v_at],
      p_conflicts[v_at]::json, p_partitions[v_at], p_shown[v_at]::json, p_ids[v_from:v_to],
      p_attempts[v_from:v_to], p_statuses[v_from:v_to], p_revisions[v_from:v_to], v_outcomes[v_at]);
    IF cardinality(p_tenants) = 1 THEN
      v_done := push_complete(v_end);
    ELSE
      BEGIN
        v_done := push_complete(v_end);
      EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE = '55P03' THEN
          -- Waiting once is enough: those behind it wait as well.
          PERFORM set_config('lock_timeout', '10ms', true);
        END IF;
        RETURN QUERY SELECT v_at - 1, true, NULL::uuid, NULL::text;
        CONTINUE;
      END;
    END IF;
    v_told[v_at] := v_done.told;
    IF v_done.before IS NOT NULL THEN
      RETURN QUERY SELECT v_at - 1, false, b.* FROM unnest(v_done.before) b;
    END IF;
  END LOOP;
  PERFORM sync_append_outbox('SYNC_EVENTS', t.partition,
      '[' || string_agg(t.told, ',' ORDER BY t.place) || ']')
    FROM unnest(p_partitions, v_told) WITH ORDINALITY AS t (partition, told, place)
    WHERE t.told IS NOT NULL GROUP BY t.partition;
END $$;
