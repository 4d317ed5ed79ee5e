-- Keeps events that could not be projected, in the order in which they came, and holds back their entities
-- where asked to. The same event again (a plain message delivered twice, a backfill that meets it every time)
-- counts as another attempt; that its entity is quarantined by now tells less than why.
CREATE OR REPLACE FUNCTION record_dead_letters(p_letters json, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO dead_letter AS d (tenant_id, producer, event_id, entity_type, entity_id, revision, code,
    cause, holds, event,
                                event_hash, first_failed_at, last_failed_at)
    SELECT l.tenant, l.producer, l.event_id, l.entity_type, l.entity_id, l.revision, l.code, l.cause,
      l.holds, l.event, l.hash,
           p_now, p_now
    FROM ROWS FROM (json_to_recordset(p_letters) AS (
      tenant text, producer text, event_id text, entity_type text, entity_id text, revision bigint,
      code text, cause text,
      holds boolean, event text, hash text)) WITH ORDINALITY AS l (
      tenant, producer, event_id, entity_type, entity_id, revision, code, cause, holds, event, hash, place)
    ORDER BY l.place
    ON CONFLICT (tenant_id, event_hash) WHERE status = 'quarantined'
    DO UPDATE SET attempts = d.attempts + 1, last_failed_at = p_now,
                  code = CASE excluded.code WHEN 'entity_quarantined' THEN d.code ELSE excluded.code END,
                  cause = CASE excluded.code WHEN 'entity_quarantined' THEN d.cause ELSE excluded.cause END,
                  holds = d.holds OR excluded.holds;

  INSERT INTO quarantine (tenant_id, entity_type, entity_id, code, since)
    SELECT DISTINCT ON (l.tenant, l.entity_type, l.entity_id) l.tenant, l.entity_type,
      l.entity_id, l.code, p_now
    FROM json_to_recordset(p_letters) AS l (
      tenant text COLLATE "C", entity_type text COLLATE "C", entity_id text COLLATE "C",
      code text, holds boolean)
    WHERE l.holds AND l.entity_type IS NOT NULL AND l.entity_id IS NOT NULL
    ORDER BY l.tenant, l.entity_type, l.entity_id
    ON CONFLICT DO NOTHING;
END $$;
