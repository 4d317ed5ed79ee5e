/**
 * Ids that become part of a scope, a subject or an SQL setting: no separators, no wildcard, no whitespace.
 */
export const TENANT_ID_PATTERN = '^[A-Za-z0-9_-]{1,64}$';
export const USER_ID_PATTERN = '^[A-Za-z0-9._~-]{1,128}$';
export const DEVICE_ID_PATTERN = '^[A-Za-z0-9._~-]{1,128}$';
export const ENTITY_TYPE_PATTERN = '^[a-z][a-z0-9_-]{0,63}$';
export const ENTITY_ID_PATTERN = '^[A-Za-z0-9._~:-]{1,128}$';
export const SERVICE_PATTERN = '^[a-z][a-z0-9-]{0,63}$';
export const SCOPE_PATTERN = '^[a-z][a-z0-9_-]{0,31}:[A-Za-z0-9._~-]{1,128}$';
/** What stands behind the colon of a scope. */
export const SCOPE_ID_PATTERN = '^[A-Za-z0-9._~-]{1,128}$';
export const MUTATION_ID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
