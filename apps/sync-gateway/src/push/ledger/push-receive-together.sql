-- First round trip of pushes: `push_receive` for each of several devices, in one transaction and one commit.
--
-- Arrays of pushes: p_tenants, p_users, p_devices, p_depends_on ({id: [ids]} where there are any), and
-- p_until, the number of mutations up to the end of each push. Arrays of mutations (ids distinct in a push),
-- those of one push after those of another. p_hashes are identities (hexadecimal). What matches no schema has
-- an id and that, the rest is null. p_looked_up: whether to look up the entity. p_payloads are the payloads
-- of push after push, U+001E between two of them: a line per mutation, its payload as JSON text, or nothing.
-- Arrays and lines, because as objects 100 mutations took 1.5 ms longer to parse, and their payloads another
-- 1.5.
--
-- Of several, a push at which anything goes wrong is answered with `failed`, and has written nothing: it
-- comes again alone, and then its error is its own. So that no push waits for long because of another one, it
-- has also failed when somebody else has its device, or one of its ids, locked for 100 ms; after the first
-- such wait for 10 ms. Pushes come in the order of their devices, in which all that go together lock them.
CREATE OR REPLACE FUNCTION push_receive_together(
  p_tenants text[], p_users text[], p_devices text[], p_depends_on text[], p_until integer[],
  p_ids uuid[], p_hashes text[], p_sequences bigint[], p_scopes text[], p_types text[], p_entities text[],
  p_ops text[], p_at_ms double precision[], p_looked_up boolean[], p_payloads text,
  p_visible_ms integer, p_max_open integer, p_head_bytes integer
) RETURNS TABLE (call integer, failed boolean, answer received_row)
LANGUAGE plpgsql
AS $$
DECLARE
  v_payloads text[] := string_to_array(p_payloads, E'\x1e');  -- none for an empty text
  v_from integer;
  v_to integer;
  v_push received_push;
BEGIN
  IF cardinality(p_tenants) > 1 THEN
    PERFORM set_config('lock_timeout', '100ms', true);
  END IF;
  FOR v_at IN 1..cardinality(p_tenants) LOOP
    v_from := coalesce(p_until[v_at - 1], 0) + 1;
    v_to := p_until[v_at];
    v_push := ROW(p_tenants[v_at], p_devices[v_at], p_users[v_at], p_ids[v_from:v_to],
      p_hashes[v_from:v_to], p_sequences[v_from:v_to], p_scopes[v_from:v_to], p_types[v_from:v_to],
      p_entities[v_from:v_to], p_ops[v_from:v_to], p_at_ms[v_from:v_to], p_depends_on[v_at]::jsonb,
      coalesce(v_payloads[v_at], ''), NULL, NULL, now(),
      clock_timestamp() + p_visible_ms * interval '1 millisecond');
    IF cardinality(p_tenants) = 1 THEN
      RETURN QUERY SELECT 0, false, r FROM push_receive(v_push, p_looked_up, p_max_open, p_head_bytes) r;
      RETURN;
    END IF;
    BEGIN
      RETURN QUERY SELECT v_at - 1, false, r
        FROM push_receive(v_push, p_looked_up[v_from:v_to], p_max_open, p_head_bytes) r;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE = '55P03' THEN
        -- Waiting once is enough: those behind it wait as well.
        PERFORM set_config('lock_timeout', '10ms', true);
      END IF;
      RETURN QUERY SELECT v_at - 1, true, NULL::received_row;
    END;
  END LOOP;
END $$;
