-- What there is of each record: its row, its entries, and what was counted of them; in the order of ids,
-- after one of them. A record of which only one of the three is left is in it too.
--
-- Plans: as in conflict_histories, each list is read along the index whose order it has.
CREATE OR REPLACE FUNCTION conflict_custody(p_tenant text, p_after uuid, p_limit integer)
RETURNS TABLE (conflict_id uuid, status text, kept bigint, kept_hash text, entries bigint, hash text,
  resolutions bigint)
LANGUAGE plpgsql STABLE
SET enable_sort = off SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH id AS (
    (SELECT conflict_id FROM conflict_record WHERE tenant_id = p_tenant AND conflict_id > p_after
     ORDER BY tenant_id, conflict_id LIMIT p_limit)
    UNION
    (SELECT conflict_id FROM conflict_history_head WHERE tenant_id = p_tenant AND conflict_id > p_after
     ORDER BY tenant_id, conflict_id LIMIT p_limit)
    ORDER BY conflict_id LIMIT p_limit
  )
  SELECT id.conflict_id, record.status, head.entries, head.hash, there.entries, there.hash, there.resolutions
  FROM id
  LEFT JOIN LATERAL (
    SELECT r.status FROM conflict_record r WHERE r.tenant_id = p_tenant AND r.conflict_id = id.conflict_id
      LIMIT 1) record ON true
  LEFT JOIN LATERAL (
    SELECT k.entries, k.hash FROM conflict_history_head k
    WHERE k.tenant_id = p_tenant AND k.conflict_id = id.conflict_id LIMIT 1) head ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS entries, coalesce((array_agg(h.hash ORDER BY h.position DESC))[1], '') AS hash,
           count(*) FILTER (
              WHERE CASE WHEN h.entry IS JSON THEN h.entry::json ->> 'what' END = 'resolved') AS resolutions
    FROM (SELECT c.position, c.entry, c.hash FROM conflict_history c
          WHERE c.tenant_id = p_tenant AND c.conflict_id >= id.conflict_id AND c.conflict_id <= id.conflict_id
          ORDER BY c.conflict_id, c.position) h) there
  ORDER BY id.conflict_id;
END $$;
