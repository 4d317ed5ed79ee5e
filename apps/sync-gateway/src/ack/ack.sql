-- One ack in one round trip: SyncCursors move forward, outcomes and purges are noted, digests compared, the
-- sync event written.
--
-- The arrays describe the acked cursors (scopes distinct); a null hash is an ack without digest. p_resyncs
-- bounds how many full resyncs this ack may ask for. Answers one row per cursor in order (`result` advanced,
-- unchanged or stale), and one of kind 'resync' per scope whose digest did not match and is to be repaired,
-- 'mismatch' when it is not yet time for that.
CREATE OR REPLACE FUNCTION ack(
  p_tenant text, p_user text, p_device text, p_scopes text[], p_origins text[], p_epochs text[],
  p_sequences bigint[],
  p_generations bigint[], p_counts bigint[], p_hashes text[], p_outcomes uuid[], p_purged text[],
  p_resyncs integer, p_partition integer
) RETURNS TABLE (kind text, scope text, result text)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off -- as in pull.sql
AS $$
#variable_conflict use_column
DECLARE
  v_advanced text[] := '{}';
  v_purged text[] := '{}';
  v_wrong text[];
  v_resync text[] := '{}';
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  IF p_scopes <> '{}' THEN
    -- Conditions stand on the row itself, so that two acks at once cannot move a cursor back.
    WITH advanced AS (
      UPDATE device_scope d SET epoch = a.epoch, sequence = a.sequence, acked_at = now()
      FROM unnest(p_scopes, p_epochs, p_sequences, p_generations) AS a (scope, epoch, sequence, generation)
      WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device AND d.scope = a.scope
        AND d.generation = a.generation AND holds_scope(p_tenant, p_user, a.scope)
        AND CASE WHEN d.epoch = a.epoch THEN a.sequence > d.sequence OR d.acked_at IS NULL
          ELSE d.epoch = '0' END
      RETURNING d.scope)
    SELECT coalesce(array_agg(a.scope), '{}') INTO v_advanced FROM advanced a;
    RETURN QUERY
      SELECT 'cursor', a.scope, CASE
        WHEN a.scope = ANY (v_advanced) THEN 'advanced'
        WHEN d.epoch = a.epoch AND d.sequence = a.sequence AND d.generation = a.generation
          AND holds_scope(p_tenant, p_user, a.scope) THEN 'unchanged'
        ELSE 'stale' END
      FROM unnest(p_scopes, p_epochs, p_sequences, p_generations) WITH ORDINALITY
        AS a (scope, epoch, sequence, generation, place)
      LEFT JOIN device_scope d
        ON d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device AND d.scope = a.scope
      ORDER BY a.place;
  END IF;

  -- Only a digest of exactly this head says something; any other is a device that has not pulled everything
  -- yet.
  IF EXISTS (SELECT FROM unnest(p_hashes) AS h (hash) WHERE h.hash IS NOT NULL) THEN
    WITH told AS (
      SELECT a.scope, a.hash = h.hash AND a.count = h.live_count AS same
      FROM unnest(p_scopes, p_origins, p_epochs, p_sequences, p_counts, p_hashes, p_generations)
        AS a (scope, origin, epoch, sequence, count, hash, generation)
      JOIN scope_head h ON h.tenant_id = p_tenant AND h.scope = a.scope AND h.origin = a.origin
        AND h.epoch = a.epoch
        AND h.sequence = a.sequence
      JOIN device_scope d ON d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
        AND d.scope = a.scope
        AND d.generation = a.generation AND d.resync_reason IS NULL
      WHERE a.hash IS NOT NULL AND holds_scope(p_tenant, p_user, a.scope)
    ), good AS (
      UPDATE device_scope d SET digest_mismatches = 0, resync_at = NULL FROM told t
      WHERE t.same AND d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
        AND d.scope = t.scope
        AND d.digest_mismatches > 0
    )
    SELECT array_agg(t.scope ORDER BY t.scope) INTO v_wrong FROM told t WHERE NOT t.same;
    IF v_wrong IS NOT NULL THEN
      -- Back-off: after the n-th mismatch the next one counts only 1, 2, 4 … minutes later, at most an hour.
      WITH due AS (
        SELECT d.scope FROM device_scope d
        WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
          AND d.scope = ANY (v_wrong)
          AND (d.resync_at IS NULL OR d.resync_at <= now())
        ORDER BY d.scope LIMIT p_resyncs FOR UPDATE
      ), asked AS (
        UPDATE device_scope d SET
          resync_reason = 'digest_mismatch',
          generation = greatest(d.generation + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
          digest_mismatches = d.digest_mismatches + 1,
          resync_at = now() + least(interval '1 hour',
          interval '1 minute' * 2 ^ least(d.digest_mismatches, 10)),
          changed_at = clock_timestamp()
        FROM due u
        WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device AND d.scope = u.scope
        RETURNING d.scope)
      SELECT coalesce(array_agg(a.scope), '{}') INTO v_resync FROM asked a;
      RETURN QUERY SELECT CASE WHEN w.scope = ANY (v_resync) THEN 'resync' ELSE 'mismatch' END, w.scope, NULL
        FROM unnest(v_wrong) AS w (scope);
    END IF;
  END IF;

  IF p_outcomes <> '{}' THEN
    UPDATE mutation m SET acked_at = now()
      WHERE m.tenant_id = p_tenant AND m.mutation_id = ANY (p_outcomes) AND m.user_id = p_user
        AND m.device_id = p_device
        AND m.terminal_at IS NOT NULL AND m.acked_at IS NULL;
    DELETE FROM outcome_asker a
      WHERE a.tenant_id = p_tenant AND a.user_id = p_user AND a.device_id = p_device
        AND a.mutation_id = ANY (p_outcomes)
        AND NOT EXISTS (
          SELECT FROM mutation m
          WHERE m.tenant_id = p_tenant AND m.mutation_id = a.mutation_id AND m.terminal_at IS NULL);
  END IF;
  IF p_purged <> '{}' THEN
    WITH purged AS (
      DELETE FROM device_scope d
      WHERE d.tenant_id = p_tenant AND d.user_id = p_user AND d.device_id = p_device
        AND d.scope = ANY (p_purged)
      RETURNING d.scope)
    SELECT coalesce(array_agg(p.scope), '{}') INTO v_purged FROM purged p;
  END IF;

  IF v_advanced <> '{}' OR v_purged <> '{}' THEN
    PERFORM sync_append_outbox('SYNC_EVENTS', p_partition, json_build_array(
      gateway_event('sync.cursor.advanced.v1', p_tenant, p_user, p_device, json_build_object(
        'cursors', (SELECT coalesce(json_agg(json_build_object('scope', a.scope, 'epoch', a.epoch, 'sequence',
          a.sequence::text)), '[]')
                    FROM unnest(p_scopes, p_epochs, p_sequences) AS a (scope, epoch, sequence)
                      WHERE a.scope = ANY (v_advanced)),
        'purged', to_json(v_purged))))::text);
  END IF;
  IF v_resync <> '{}' THEN
    PERFORM sync_append_outbox('SYNC_EVENTS', p_partition, json_build_array(
      gateway_event('sync.resync.required.v1', p_tenant, p_user, p_device,
        json_build_object('scopes', to_json(v_resync), 'reason', 'digest_mismatch')))::text);
  END IF;
END $$;
