-- Outcomes with the entities that they show, where those are kept beside them; see
-- database/shown-entities.ts. In the order of p_ids; as many as p_bytes have room for, and always the first.
--
-- holder: the first of them that shows the same entity; null where the entity is in the outcome itself, or
--         there is none.
-- wire: the entity, with its holder; with others, too, while all these copies have no more than 256 KiB.
--
-- Nothing is built before it is known to have room: octet_length reads no value that is stored beside its
-- row. Plans (see push-receive.sql): each look-up is a LATERAL with LIMIT that only its own index can serve.
CREATE OR REPLACE FUNCTION shown_outcomes(p_tenant text, p_ids uuid[], p_bytes integer)
RETURNS TABLE (mutation_id uuid, outcome text, holder uuid, wire text)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH asked AS (
    SELECT i.place, m.mutation_id, m.outcome, s.wire, octet_length(s.wire) AS size,
      CASE WHEN s.wire IS NOT NULL THEN first_value(m.mutation_id) OVER (
        PARTITION BY s.device_id, s.scope, s.entity_type, s.entity_id ORDER BY i.place) END AS holder
    FROM unnest(p_ids) WITH ORDINALITY AS i (id, place)
    CROSS JOIN LATERAL (
      SELECT k.* FROM mutation k WHERE k.tenant_id = p_tenant AND k.mutation_id = i.id LIMIT 1) m
    LEFT JOIN LATERAL (
      SELECT e.* FROM shown_entity e
      WHERE m.shows AND e.tenant_id = p_tenant AND e.device_id = m.device_id AND e.scope = m.scope
        AND e.entity_type = m.entity_type AND e.entity_id = m.entity_id LIMIT 1) s ON true
  ), measured AS (
    SELECT a.*,
      sum(octet_length(a.outcome)
        + CASE WHEN a.holder = a.mutation_id THEN a.size ELSE 0 END) OVER w AS bytes,
      sum(CASE WHEN a.holder <> a.mutation_id THEN a.size ELSE 0 END) OVER w AS copied
    FROM asked a
    WINDOW w AS (ORDER BY a.place)
  )
  SELECT s.mutation_id, s.outcome, s.holder,
    CASE WHEN s.holder = s.mutation_id OR s.copied <= 262144 THEN s.wire END
  FROM measured s
  WHERE s.place = 1 OR s.bytes <= p_bytes
  ORDER BY s.place;
END $$;

-- The same in a round trip of its own, without the outcomes themselves.
CREATE OR REPLACE FUNCTION read_shown(p_tenant text, p_ids uuid[], p_bytes integer)
RETURNS TABLE (mutation_id uuid, holder uuid, wire text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN QUERY SELECT o.mutation_id, o.holder, o.wire FROM shown_outcomes(p_tenant, p_ids, p_bytes) o;
END $$;
