-- `push_complete` for the pushes of several devices in one transaction: one round trip, one commit.
--
-- Arrays of pushes: p_tenants, p_users, p_devices, p_more, p_told, p_conflicts, p_partitions, p_shown, and
-- p_until, the number of mutations up to the end of each push. Arrays of mutations, those of one push after
-- those of another: p_ids, p_attempts, p_statuses, p_revisions. p_outcomes are the lines of push after push,
-- U+001E between two of them.
--
-- What there is to tell of all of them is written once for each partition: every message costs its relay, the
-- broker and three consumers the same, however little it says.
--
-- A push at which anything goes wrong is answered with `failed`, as in push-receive-together.sql. A push of
-- which there is nothing to say has no row.
CREATE OR REPLACE FUNCTION push_complete_together(
  p_tenants text[], p_users text[], p_devices text[], p_more text[], p_told text[], p_conflicts text[],
  p_partitions integer[], p_shown text[], p_until integer[],
  p_ids uuid[], p_attempts integer[], p_statuses text[], p_revisions bigint[], p_outcomes text
) RETURNS TABLE (call integer, failed boolean, mutation_id uuid, outcome text)
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
#variable_conflict use_column
DECLARE
  v_outcomes text[] := string_to_array(p_outcomes, E'\x1e');
  v_push integer;
  v_from integer;
  v_to integer;
  v_told text[] := array_fill(NULL::text, ARRAY[cardinality(p_tenants)]);
  r record;
BEGIN
  FOR v_push IN
    SELECT d.place FROM unnest(p_tenants, p_devices) WITH ORDINALITY AS d (tenant, device, place)
    ORDER BY d.tenant COLLATE "C", d.device COLLATE "C", d.place
  LOOP
    v_from := coalesce(p_until[v_push - 1], 0) + 1;
    v_to := p_until[v_push];
    BEGIN
      FOR r IN SELECT c.* FROM push_complete(
        p_tenants[v_push], p_devices[v_push], p_ids[v_from:v_to], p_attempts[v_from:v_to],
        p_statuses[v_from:v_to], p_more[v_push]::json, v_outcomes[v_push], p_told[v_push],
        p_conflicts[v_push]::json, p_partitions[v_push], p_users[v_push], p_revisions[v_from:v_to],
        p_shown[v_push]::json, true) c
      LOOP
        IF r.mutation_id IS NULL THEN
          v_told[v_push] := r.outcome;
        ELSE
          RETURN QUERY SELECT v_push - 1, false, r.mutation_id, r.outcome;
        END IF;
      END LOOP;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE = '55P03' THEN
        -- Waiting once is enough: those behind it wait as well.
        PERFORM set_config('lock_timeout', '10ms', true);
      END IF;
      RETURN QUERY SELECT v_push - 1, true, NULL::uuid, NULL::text;
    END;
  END LOOP;
  PERFORM sync_append_outbox('SYNC_EVENTS', t.partition,
      '[' || string_agg(t.told, ',' ORDER BY t.place) || ']')
    FROM unnest(p_partitions, v_told) WITH ORDINALITY AS t (partition, told, place)
    WHERE t.told IS NOT NULL GROUP BY t.partition;
END $$;
