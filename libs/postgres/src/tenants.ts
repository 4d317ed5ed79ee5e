import { escapeIdentifier, type QueryConfig } from 'pg';

/**
 * What a tenant id may look like. The alphabet has no comma and no quote, so that a list of ids in
 * `app.tenant` means exactly these tenants.
 */
const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Thrown for an empty list of tenants and for an id outside the allowed alphabet, before anything is sent.
 */
export class InvalidTenantError extends Error {
  override readonly name = 'InvalidTenantError';
}

/** Bounds that Postgres keeps for each statement of one transaction. */
export interface StatementLimits {
  /** How long it may take; beyond that it fails with SQLSTATE 57014. */
  readonly statementMs: number;
  /** How long it may wait for one lock; beyond that it fails with 55P03. */
  readonly lockMs: number;
}

export const BEGIN: QueryConfig = { name: 'sync_begin', text: 'BEGIN' };

/**
 * What a transaction of these tenants begins with; it goes along with its first statement.
 *
 * `set_config(…, true)` is `SET LOCAL` with a value; the setting ends with the transaction, so a pooled
 * connection never carries it into the next request.
 *
 * @param limits instead of those of the connection
 * @throws InvalidTenantError
 */
export function beginForTenants(
  tenantIds: string | readonly string[],
  limits?: StatementLimits,
): readonly QueryConfig[] {
  const ids = typeof tenantIds === 'string' ? [tenantIds] : tenantIds;
  if (ids.length === 0) throw new InvalidTenantError('A tenant transaction needs at least one tenant id');
  for (const id of ids) {
    if (!TENANT_ID.test(id)) {
      throw new InvalidTenantError(`Tenant id ${JSON.stringify(id)} does not match ${String(TENANT_ID)}`);
    }
  }
  const tenants = ids.join(',');
  const set = `SELECT set_config('app.tenant', $1, true)`;
  if (!limits) return [BEGIN, { name: 'sync_begin_tenants', text: set, values: [tenants] }];
  const text = `${set}, set_config('statement_timeout', $2, true), set_config('lock_timeout', $3, true)`;
  const values = [tenants, `${limits.statementMs}ms`, `${limits.lockMs}ms`];
  return [BEGIN, { name: 'sync_begin_limits', text, values }];
}

/**
 * SQL for a migration: switches row level security on for a table with a text `tenant_id` and forces it on
 * the table's owner too. Safe to run again.
 *
 * Outside a tenant transaction no row is visible and none can be written: a session that once had a tenant
 * shows `''` and not NULL for `app.tenant`, and `nullif` makes both the empty answer. The list is compared
 * with `= ANY(array)`, which Postgres can use as an index condition; a `LIKE` or a subquery it could not.
 *
 * Data migrations run by the owner see no rows either: they use `SELECT set_config('app.tenant', …, true)`
 * per tenant.
 */
export function tenantPolicySql(table: string): string {
  const name = escapeIdentifier(table);
  const ofTenant = `tenant_id = ANY (string_to_array(nullif(current_setting('app.tenant', true), ''), ','))`;
  return [
    `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
    `DROP POLICY IF EXISTS tenant_isolation ON ${name}`,
    `CREATE POLICY tenant_isolation ON ${name} USING (${ofTenant}) WITH CHECK (${ofTenant})`,
  ].join(';\n');
}
