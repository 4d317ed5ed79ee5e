-- `ack` for several devices in one transaction: one round trip, one commit.
--
-- Arrays of acks: p_tenants to p_partitions, of which the three p_…_until are how many cursors, outcomes and
-- purged scopes there are up to the end of each ack. Arrays of cursors, of outcomes and of purged scopes,
-- those of one ack after those of another: the parameters of `ack`.
--
-- Of several, an ack at which anything goes wrong is answered with `failed`, and has written nothing: it comes
-- again alone, and then its error is its own. So that none waits for long because of another one, it has also
-- failed when somebody else has its device locked for 100 ms; after the first such wait for 10 ms.
CREATE OR REPLACE FUNCTION ack_together(
  p_tenants text[], p_users text[], p_devices text[],
  p_cursors_until integer[], p_outcomes_until integer[], p_purged_until integer[],
  p_resyncs integer[], p_partitions integer[],
  p_scopes text[], p_origins text[], p_epochs text[], p_sequences bigint[], p_generations bigint[],
  p_counts bigint[], p_hashes text[], p_outcomes uuid[], p_purged text[]
) RETURNS TABLE (call integer, failed boolean, kind text, scope text, result text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
  v_from integer;
  v_to integer;
BEGIN
  IF cardinality(p_tenants) = 1 THEN
    RETURN QUERY SELECT 0, false, a.* FROM ack(p_tenants[1], p_users[1], p_devices[1], p_scopes, p_origins,
      p_epochs, p_sequences, p_generations, p_counts, p_hashes, p_outcomes, p_purged, p_resyncs[1],
      p_partitions[1]) a;
    RETURN;
  END IF;
  PERFORM set_config('lock_timeout', '100ms', true);
  FOR v_ack IN 1..cardinality(p_tenants) LOOP
    v_from := coalesce(p_cursors_until[v_ack - 1], 0) + 1;
    v_to := p_cursors_until[v_ack];
    BEGIN
      RETURN QUERY SELECT v_ack - 1, false, a.* FROM ack(
        p_tenants[v_ack], p_users[v_ack], p_devices[v_ack], p_scopes[v_from:v_to], p_origins[v_from:v_to],
        p_epochs[v_from:v_to], p_sequences[v_from:v_to], p_generations[v_from:v_to], p_counts[v_from:v_to],
        p_hashes[v_from:v_to],
        p_outcomes[coalesce(p_outcomes_until[v_ack - 1], 0) + 1:p_outcomes_until[v_ack]],
        p_purged[coalesce(p_purged_until[v_ack - 1], 0) + 1:p_purged_until[v_ack]],
        p_resyncs[v_ack], p_partitions[v_ack]) a;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE = '55P03' THEN
        -- Waiting once is enough: those behind it wait as well.
        PERFORM set_config('lock_timeout', '10ms', true);
      END IF;
      RETURN QUERY SELECT v_ack - 1, true, NULL::text, NULL::text, NULL::text;
    END;
  END LOOP;
END $$;
