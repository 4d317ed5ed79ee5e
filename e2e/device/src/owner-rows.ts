import { deepStrictEqual } from 'node:assert/strict';
import pg from 'pg';
import type { StackLine } from './stack-process.ts';

/**
 * Reads a service's database behind its back, inside the tenant: row level security holds for owners too.
 * @param database as the stack calls it, such as `learning`
 */
export async function queryAsOwner<Row extends pg.QueryResultRow>(
  { databases }: Pick<StackLine, 'databases'>,
  database: string,
  tenantId: string,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databases[database]?.ownerUrl });
  await client.connect();
  try {
    await client.query(`SELECT set_config('app.tenant', $1, false)`, [tenantId]);
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

/**
 * The owner of the learners' entities applied each mutation exactly once.
 * @param expected by entity id, how many changes it has had
 * @throws AssertionError
 */
export async function checkRevisions(
  stack: Pick<StackLine, 'databases'>,
  tenantId: string,
  expected: ReadonlyMap<string, number>,
): Promise<void> {
  const rows = await queryAsOwner<{ entity_id: string; revision: string }>(
    stack,
    'learning',
    tenantId,
    'SELECT entity_id, revision FROM sync_entity WHERE tenant_id = $1 AND entity_id = ANY ($2)',
    [tenantId, [...expected.keys()]],
  );
  deepStrictEqual(
    Object.fromEntries(rows.map((row) => [row.entity_id, Number(row.revision)])),
    Object.fromEntries(expected),
    'the owner applied each mutation exactly once',
  );
}
