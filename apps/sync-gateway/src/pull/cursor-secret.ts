import type { Database } from '@sync/postgres';
import type { KeySeal, SealedRows, SecretOwner } from '@sync/service-kit';

const OWNER: SecretOwner = ['gateway-secret', 'cursor'];
/**
 * Sealed it has another name: a gateway that knows no seals finds no key then, instead of taking the seal for
 * one.
 */
const NAMES = `name IN ('cursor', 'cursor-sealed')`;

/** Where the key of the cursor tokens lies. */
export const CURSOR_SECRET_ROWS: SealedRows = {
  name: 'gateway_secret',
  nextTenant: null,
  page: `
    SELECT ARRAY[name] AS position, ARRAY['gateway-secret', 'cursor'] AS owner, value AS stored
    FROM gateway_secret
    WHERE $1 = '' AND ${NAMES} AND ($2::text[] IS NULL OR name > ($2::text[])[1])
      AND NOT starts_with(value, $3)
    ORDER BY name LIMIT $4`,
  write: `
    UPDATE gateway_secret s SET value = n.sealed, name = 'cursor-sealed'
    FROM json_to_recordset($2::json) AS n (position text[], stored text, sealed text)
    WHERE $1 = '' AND s.name = n.position[1] AND s.value = n.stored`,
};

/**
 * The key that the first migration put into the database, for all replicas.
 * @throws Error when there is none, SealError when it does not open
 */
export async function readCursorSecret(database: Database, keys: KeySeal): Promise<string> {
  const read = `SELECT value FROM gateway_secret WHERE ${NAMES}`;
  const [row] = await database.call<{ value: string }>('cursor_secret', read, []);
  if (!row) throw new Error('The database has no cursor secret: run the migrations, or set CURSOR_SECRET');
  return keys.open(OWNER, row.value);
}
