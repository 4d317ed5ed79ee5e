-- What a completion tells of. p_ids, p_statuses: one element per mutation; p_stored: the ids of which the
-- outcome was stored. p_told: CloudEvents that count and list, with commas between them, as they are when
-- everything was stored; null when there are none. p_conflicts: [{mutationId, message: number of the message
-- that carries it, event}].

-- p_told without what was not stored; null when that leaves nothing to tell.
--
-- The gateway cannot know what will be stored, but nearly always everything is: its text then goes out
-- unread. These events hold nothing that people wrote, so they may be jsonb. What was simply applied has no
-- entry in the event that counts; all else has one.
CREATE OR REPLACE FUNCTION told_of_stored(p_ids uuid[], p_statuses text[], p_stored uuid[], p_told text)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  IF cardinality(p_stored) = cardinality(p_ids) THEN
    RETURN p_told;
  END IF;
  RETURN (
    SELECT string_agg(jsonb_set(t.event, '{data}', CASE WHEN t.event -> 'data' ? 'counts'
        THEN jsonb_build_object('counts', c.counts, 'mutations', e.entries)
        ELSE jsonb_build_object('mutations', e.entries) END)::text, ',' ORDER BY t.place)
    FROM jsonb_array_elements(('[' || p_told || ']')::jsonb) WITH ORDINALITY AS t (event, place)
    CROSS JOIN LATERAL (
      SELECT coalesce(jsonb_agg(m.entry ORDER BY m.place), '[]') AS entries
      FROM jsonb_array_elements(t.event -> 'data' -> 'mutations') WITH ORDINALITY AS m (entry, place)
      WHERE (m.entry ->> 'mutationId')::uuid = ANY (p_stored)
    ) e
    CROSS JOIN LATERAL (
      SELECT jsonb_object_agg(n.status, n.number) AS counts
      FROM (
        SELECT s.status, count(*) AS number
        FROM (
          SELECT m.entry ->> 'status' FROM jsonb_array_elements(e.entries) AS m (entry)
          UNION ALL
          SELECT i.status FROM unnest(p_ids, p_statuses) AS i (id, status)
          WHERE i.status = 'applied' AND i.id = ANY (p_stored)
        ) AS s (status)
        GROUP BY s.status
      ) n
    ) c
    WHERE e.entries <> '[]' OR t.event -> 'data' ? 'counts' AND c.counts IS NOT NULL
  );
END $$;

-- The events of conflicts whose outcomes were stored, message by message.
CREATE OR REPLACE FUNCTION conflict_messages(p_stored uuid[], p_conflicts json) RETURNS SETOF text
LANGUAGE sql STABLE
AS $$
  SELECT '[' || string_agg(c.event, ',') || ']'
  FROM json_to_recordset(p_conflicts) AS c ("mutationId" uuid, message integer, event text)
  WHERE c."mutationId" = ANY (p_stored)
  GROUP BY c.message ORDER BY c.message
$$;
