-- Gives scopes their positions, in key order, new ones among the others. It comes after all heads: entity
-- heads before scope heads, everywhere, is what keeps workers from deadlock. A scope's row stays locked
-- until the commit, so its positions have no gap and follow the order of commits.
--
-- Per scope: the number of its deltas, the change of its live count and of its digest; p_epoch is for
-- those that have no head yet. Returned: the scopes after the batch, so that its deltas got the positions
-- (sequence - deltas, sequence].
CREATE OR REPLACE FUNCTION move_scopes(
  p_tenants text[], p_scopes text[], p_deltas integer[], p_counts integer[], p_digests numeric[], p_epoch text
) RETURNS TABLE (tenant_id text, scope text, epoch text, sequence bigint, live_count bigint, digest text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    INSERT INTO scope_head AS h (tenant_id, scope, epoch, sequence, live_count, digest)
      SELECT n.t, n.s, p_epoch, n.deltas, n.count, n.digest
      FROM unnest(p_tenants, p_scopes, p_deltas, p_counts, p_digests) AS n (t, s, deltas, count, digest)
      ORDER BY n.t COLLATE "C", n.s COLLATE "C"
      ON CONFLICT (tenant_id, scope) DO UPDATE SET
        sequence = h.sequence + excluded.sequence,
        live_count = h.live_count + excluded.live_count,
        digest = mod(h.digest + excluded.digest,
                     115792089237316195423570985008687907853269984665640564039457584007913129639936)
      RETURNING h.tenant_id, h.scope, h.epoch, h.sequence, h.live_count, h.digest::text;
END $$;
