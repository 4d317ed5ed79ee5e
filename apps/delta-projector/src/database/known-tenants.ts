import type { Database } from '@sync/postgres';

const TENANTS_PER_PAGE = 500;

/** All tenants that events have named, in pages; what is read of them must happen inside `app.tenant`. */
export async function* tenantPages(database: Pick<Database, 'call'>): AsyncGenerator<string[]> {
  let after = '';
  for (;;) {
    const rows = await database.call<{ id: string }>(
      'tenant_page',
      'SELECT id FROM known_tenant WHERE id > $1 ORDER BY id LIMIT $2',
      [after, TENANTS_PER_PAGE],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map(({ id }) => id);
    if (rows.length < TENANTS_PER_PAGE) return;
    after = last.id;
  }
}
