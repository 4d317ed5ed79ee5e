-- The rows of a page in a scope that has documents: each entity's newest delta, and what documents have
-- before theirs (see document-parts.ts), in commit order. A part never stands behind the newest delta of its
-- document, so whether there is more is told by scope_delta alone.
CREATE FUNCTION document_page(p_tenant text, p_scope text, p_after bigint, p_floor bigint, p_limit integer)
RETURNS TABLE (wire text, sequence bigint, entity_type text, entity_id text)
LANGUAGE sql STABLE AS $$
  SELECT u.wire, u.sequence, u.entity_type, u.entity_id FROM (
    (SELECT d.wire, d.sequence, d.entity_type, d.entity_id FROM scope_delta d
     WHERE d.tenant_id = p_tenant AND d.scope = p_scope AND d.sequence > 0 AND d.sequence > p_after
       AND (NOT d.deleted OR d.sequence > p_floor)
     ORDER BY d.sequence LIMIT p_limit)
    UNION ALL
    (SELECT p.wire, p.sequence, p.entity_type, p.entity_id FROM scope_document_part p
     WHERE p.tenant_id = p_tenant AND p.scope = p_scope AND p.sequence > p_after
     ORDER BY p.sequence LIMIT p_limit)) u
  ORDER BY u.sequence LIMIT p_limit;
$$;
