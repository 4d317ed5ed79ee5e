-- A sync event as CloudEvents 1.0 JSON, for SQL functions that report in the transaction of their effect.
CREATE OR REPLACE FUNCTION gateway_event(
  p_type text, p_tenant text, p_user text, p_device text, p_data json, p_id text DEFAULT NULL
) RETURNS json
LANGUAGE sql VOLATILE AS $$
  SELECT json_build_object(
    'specversion', '1.0',
    'id', coalesce(p_id, uuidv7()::text),
    'source', 'sync-gateway',
    'type', p_type,
    'time', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'datacontenttype', 'application/json',
    'tenantid', p_tenant,
    'userid', p_user,
    'deviceid', p_device,
    'data', p_data);
$$;
