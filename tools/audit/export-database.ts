import type { Database } from '@sync/postgres';

const BATCH = 500;

/** The tenants that have a log, in the order of their ids. */
export async function tenantsIn(database: Database): Promise<string[]> {
  const rows = await database.call<{ id: string }>(
    'audit_tenants',
    'SELECT tenant_id AS id FROM audit_entry_anchor ORDER BY tenant_id',
    [],
  );
  return rows.map(({ id }) => id);
}

interface Line {
  readonly position: string;
  readonly text: string;
  readonly hash: string;
}

/** The log of one tenant straight from the gateway's database, as the lines of an export. */
export async function* exportOf(database: Database, tenantId: string): AsyncGenerator<string> {
  const exportedAt = new Date().toISOString();
  yield JSON.stringify({ head: { tenantId, after: '0', hash: '', exportedAt } });
  let end = { position: '0', hash: '' };
  for (;;) {
    // One statement: what is written between two would look like a line too many.
    const rows = await database.inTenant(tenantId, (tx) =>
      tx.query<Line & { readonly entries: string | null; readonly newest: string | null }>(
        `SELECT e.position, e.entry AS text, e.hash, a.entries, a.hash AS newest
         FROM (SELECT 1) one
         LEFT JOIN audit_entry_anchor a ON a.tenant_id = $1
         LEFT JOIN (SELECT * FROM audit_entry WHERE tenant_id = $1 AND position > $2::bigint
                    ORDER BY position LIMIT ${BATCH}) e ON true
         ORDER BY e.position`,
        [tenantId, end.position],
      ),
    );
    const lines = rows.filter(({ position }) => (position as string | null) !== null);
    for (const { text, hash } of lines) yield `${text.slice(0, -1)},"hash":${JSON.stringify(hash)}}`;
    end = lines.at(-1) ?? end;
    if (lines.length === BATCH) continue;
    const [counted] = rows;
    yield JSON.stringify({
      end: { position: end.position, hash: counted?.newest ?? '', entries: counted?.entries ?? '0' },
    });
    return;
  }
}
