import type { SealedRows, SecretOwner } from '@sync/service-kit';

export const SIGNING_KEY_OWNER: SecretOwner = ['signing-key', 'current'];

const NEXT_TENANT = 'SELECT tenant_id FROM device_tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1';
/** `position` of an earlier key: its device, and when it was replaced. */
const EARLIER_POSITION = 'ARRAY[e.device_id, e.replaced_at::text]';
const CHANGES = 'json_to_recordset($2::json) AS n (position text[], stored text, sealed text)';

/**
 * Every secret that the identity service stores. The owners here are those by which it opens them
 * (`DeviceBindings`, {@link SIGNING_KEY_OWNER}).
 */
export const SEALED_TABLES: readonly SealedRows[] = [
  {
    name: 'signing_key',
    nextTenant: null,
    page: `
      SELECT ARRAY[name] AS position, ARRAY['signing-key', name] AS owner, private_jwk #>> '{}' AS stored
      FROM signing_key
      WHERE $1 = '' AND ($2::text[] IS NULL OR name > ($2::text[])[1])
        AND NOT starts_with(private_jwk #>> '{}', $3)
      ORDER BY name LIMIT $4`,
    write: `
      UPDATE signing_key s SET private_jwk = to_jsonb(n.sealed) FROM ${CHANGES}
      WHERE $1 = '' AND s.name = n.position[1] AND s.private_jwk #>> '{}' = n.stored`,
  },
  {
    name: 'device',
    nextTenant: NEXT_TENANT,
    page: `
      SELECT ARRAY[device_id] AS position, ARRAY['device-key', tenant_id, user_id, device_id] AS owner,
        hmac_key AS stored
      FROM device
      WHERE tenant_id = $1 AND ($2::text[] IS NULL OR device_id > ($2::text[])[1])
        AND NOT starts_with(hmac_key, $3)
      ORDER BY device_id LIMIT $4`,
    write: `
      UPDATE device d SET hmac_key = n.sealed FROM ${CHANGES}
      WHERE d.tenant_id = $1 AND d.device_id = n.position[1] AND d.hmac_key = n.stored`,
  },
  {
    name: 'earlier_device_key',
    nextTenant: NEXT_TENANT,
    page: `
      SELECT ${EARLIER_POSITION} AS position, e.hmac_key AS stored,
        ARRAY['device-key', e.tenant_id, d.user_id, e.device_id] AS owner
      FROM earlier_device_key e JOIN device d ON d.tenant_id = e.tenant_id AND d.device_id = e.device_id
      WHERE e.tenant_id = $1 AND NOT starts_with(e.hmac_key, $3) AND ($2::text[] IS NULL
        OR (e.device_id, e.replaced_at) > (($2::text[])[1], (($2::text[])[2])::timestamptz))
      ORDER BY e.device_id, e.replaced_at LIMIT $4`,
    write: `
      UPDATE earlier_device_key e SET hmac_key = n.sealed FROM ${CHANGES}
      WHERE e.tenant_id = $1 AND e.device_id = n.position[1] AND e.replaced_at = n.position[2]::timestamptz
        AND e.hmac_key = n.stored`,
  },
];
