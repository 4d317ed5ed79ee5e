-- `push_receive` for the pushes of several devices in one transaction: one round trip, one commit.
--
-- Arrays of pushes: p_tenants, p_users, p_devices, p_depends_on, and p_until, the number of mutations up to
-- the end of each push. Arrays of mutations, those of one push after those of another: the parameters of
-- push_receive. p_payloads are the payloads of push after push, U+001E between two of them.
--
-- A push at which anything goes wrong is answered with `failed`, and has written nothing: it comes again
-- alone, and then its error is its own. So that no push waits for long because of another one, it has also
-- failed when somebody else has its device, or one of its ids, locked for 100 ms; after the first such wait
-- for 10 ms. Devices are locked in their order, as push_complete_together does it.
CREATE OR REPLACE FUNCTION push_receive_together(
  p_tenants text[], p_users text[], p_devices text[], p_depends_on text[], p_until integer[],
  p_ids uuid[], p_hashes text[], p_sequences bigint[], p_scopes text[], p_types text[], p_entities text[],
  p_ops text[], p_at_ms double precision[], p_looked_up boolean[], p_payloads text,
  p_visible_ms integer, p_max_open integer, p_head_bytes integer
) RETURNS TABLE (
  call integer, failed boolean, place integer, verdict text, outcome text, held boolean, waiting boolean,
  anew boolean, dependencies json,
  head_revision bigint, head_deleted boolean, head_clock jsonb, head_writes text, head_wire text
)
LANGUAGE plpgsql
SET lock_timeout = '100ms'
AS $$
#variable_conflict use_column
DECLARE
  v_payloads text[] := string_to_array(p_payloads, E'\x1e');
  v_push integer;
  v_from integer;
  v_to integer;
BEGIN
  FOR v_push IN
    SELECT d.place FROM unnest(p_tenants, p_devices) WITH ORDINALITY AS d (tenant, device, place)
    ORDER BY d.tenant COLLATE "C", d.device COLLATE "C", d.place
  LOOP
    v_from := coalesce(p_until[v_push - 1], 0) + 1;
    v_to := p_until[v_push];
    BEGIN
      RETURN QUERY SELECT v_push - 1, false, r.* FROM push_receive(
        p_tenants[v_push], p_users[v_push], p_devices[v_push], p_ids[v_from:v_to], p_hashes[v_from:v_to],
        p_sequences[v_from:v_to], p_scopes[v_from:v_to], p_types[v_from:v_to], p_entities[v_from:v_to],
        p_ops[v_from:v_to], p_at_ms[v_from:v_to], p_depends_on[v_push]::jsonb, p_looked_up[v_from:v_to],
        v_payloads[v_push], p_visible_ms, p_max_open, p_head_bytes) r;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE = '55P03' THEN
        -- Waiting once is enough: those behind it wait as well.
        PERFORM set_config('lock_timeout', '10ms', true);
      END IF;
      RETURN QUERY SELECT v_push - 1, true, (NULL::received_row).*;
    END;
  END LOOP;
END $$;
