-- What a user holds: the own user scope always, every other scope while at least one source grants it.

CREATE OR REPLACE FUNCTION holds_scope(p_tenant text, p_user text, p_scope text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT p_scope = 'user:' || p_user OR EXISTS (
    SELECT FROM scope_grant g
    WHERE g.tenant_id = p_tenant AND g.user_id = p_user AND g.scope = p_scope AND g.granted);
$$;

-- Whether the user holds it, or did. A grant that was taken back stays as a row.
CREATE OR REPLACE FUNCTION held_once(p_tenant text, p_user text, p_scope text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT EXISTS (SELECT FROM scope_grant g
    WHERE g.tenant_id = p_tenant AND g.user_id = p_user AND g.scope = p_scope);
$$;

-- All of them, the own user scope first, then by name: the order in which a pull without `scopes` answers.
CREATE OR REPLACE FUNCTION held_scopes(p_tenant text, p_user text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT 'user:' || p_user
  UNION ALL
  (SELECT DISTINCT g.scope COLLATE "C" FROM scope_grant g
   WHERE g.tenant_id = p_tenant AND g.user_id = p_user AND g.granted AND g.scope <> 'user:' || p_user
   ORDER BY 1);
$$;

-- Whether the user holds the scope, in a round trip of its own.
CREATE OR REPLACE FUNCTION read_held(p_tenant text, p_user text, p_scope text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('app.tenant', p_tenant, true);
  RETURN holds_scope(p_tenant, p_user, p_scope);
END $$;
