CREATE OR REPLACE FUNCTION fields_named(p_fields json) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(json_agg(json_build_object('field', f -> 'field', 'winner', f -> 'winner')), '[]')::text
  FROM json_array_elements(p_fields) f
$$;

-- A decision; null where there is none.
CREATE OR REPLACE FUNCTION without_content(p_decision json) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN json_typeof(p_decision) = 'object' THEN (
    SELECT '{' || string_agg(to_json(d.key) || ':' || d.value, ',') || '}'
    FROM json_each(p_decision) d WHERE d.key NOT IN ('data', 'update')) ELSE 'null' END
$$;

-- A ConflictRecord without what it shows of the server: the parts that the resolver leaves out of one that is
-- too large (record-view.ts), under the same names. withoutServerSide does it to what the resolver
-- answers. Put together from texts, so that numbers stay as they were written.
CREATE OR REPLACE FUNCTION without_server_side(p_record json) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT '{' || string_agg(to_json(r.key) || ':' || CASE r.key
      WHEN 'base' THEN 'null'
      WHEN 'baseUnknown' THEN '[""]'
      WHEN 'ours' THEN 'null'
      WHEN 'blocks' THEN '[]'
      WHEN 'suggestions' THEN '[]'
      WHEN 'fields' THEN fields_named(r.value)
      WHEN 'decision' THEN without_content(r.value)
      ELSE r.value::text END, ',')
    || ',"omitted":["decision","fields","blocks","base","ours","suggestions"]}'
  FROM json_each(p_record) r WHERE r.key <> 'omitted'
$$;

-- A ConflictRecord. When its scope was taken from the user, it shows what its user wrote, and not what the
-- server had; `omitted` says so.
CREATE OR REPLACE FUNCTION shown_conflict(p_tenant text, p_user text, p_wire text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_record json := p_wire::json -> 'data';
BEGIN
  IF v_record ->> 'scope' IS NULL OR holds_scope(p_tenant, p_user, v_record ->> 'scope') THEN
    RETURN p_wire;
  END IF;
  RETURN (
    SELECT '{' || string_agg(to_json(d.key) || ':'
      || CASE d.key WHEN 'data' THEN without_server_side(v_record) ELSE d.value::text END, ',') || '}'
    FROM json_each(p_wire::json) d);
END $$;

-- An entity of the read model as its user may see it now: p_wire, the text of its RemoteDelta. Everything
-- that leaves the gateway for a device is read through this.
--
-- A scope says who may see an entity, and whoever reads one has asked for that. But a ConflictRecord lies in
-- its user's own scope for ever, and shows an entity of another one.
CREATE OR REPLACE FUNCTION shown_wire(p_tenant text, p_user text, p_type text, p_wire text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN p_type = 'conflict' THEN shown_conflict(p_tenant, p_user, p_wire) ELSE p_wire END
$$;

-- An entity as outcomes and decisions have it: as its user may see it, without what a document holds, which
-- comes by pulls alone (PULL-16). The projector writes `op` before what is long and `update` last, and base64
-- has no comma. The start is looked at first: of what is no document nothing else is read for this.
CREATE OR REPLACE FUNCTION shown_current(p_tenant text, p_user text, p_type text, p_wire text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN left(p_wire, 1000) LIKE '%,"op":"merge",%' AND right(p_wire, 2) = '"}'
    THEN left(p_wire, -length(split_part(p_wire, ',"update":"', -1)) - 11) || '}'
    ELSE shown_wire(p_tenant, p_user, p_type, p_wire) END
$$;
