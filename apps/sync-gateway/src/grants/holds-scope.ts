import type { Database } from '@sync/postgres';
import type { Caller } from '../access/caller.ts';

/** Whether the user holds the scope now. */
export async function holdsScope(
  database: Pick<Database, 'call'>,
  { tenantId, userId }: Pick<Caller, 'tenantId' | 'userId'>,
  scope: string,
): Promise<boolean> {
  const rows = await database.call<{ readonly held: boolean }>(
    'read_held',
    'SELECT read_held($1, $2, $3) AS held',
    [tenantId, userId, scope],
  );
  return rows[0]?.held ?? false;
}
