import { InvalidTenantError, type Tx } from '@sync/postgres';

const TENANT_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The tenants of a batch as the value of `app.tenant`: sorted, each once.
 *
 * @throws InvalidTenantError for an empty list or an id outside the allowed alphabet (which has no comma)
 */
export function tenantList(tenantIds: Iterable<string>): string {
  const ids = [...new Set(tenantIds)].sort();
  if (ids.length === 0) throw new InvalidTenantError('A batch needs at least one tenant id');
  for (const id of ids) {
    if (!TENANT_ID.test(id)) throw new InvalidTenantError(`Tenant id ${JSON.stringify(id)} is not allowed`);
  }
  return ids.join(',');
}

/**
 * Lets the rest of this transaction see and write the rows of exactly these tenants. One round trip; a
 * consumer that knows them beforehand gives `tenantsOf` instead and pays none.
 *
 * @throws InvalidTenantError
 */
export async function setTenants(tx: Pick<Tx, 'call'>, tenantIds: Iterable<string>): Promise<void> {
  await tx.call('sync_set_tenants', `SELECT set_config('app.tenant', $1, true)`, [tenantList(tenantIds)]);
}
