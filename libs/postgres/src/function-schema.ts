import { createHash } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';

/** Functions of a build and types of theirs, written as `CREATE FUNCTION` without the name of a schema. */
export interface FunctionScript {
  /** For messages: usually its file. */
  readonly name: string;
  readonly sql: string;
}

/** The builds that a database remembers, and when a process of each migrated it last. */
export const FUNCTION_SCHEMA_TABLE = 'function_schema';

/** A rolling update needs two; the others are for whoever goes back by some releases. */
const KEPT_BUILDS = 10;
/**
 * Younger builds are kept as well: where only one process migrates, the starts of the others are not counted,
 * and their functions are in use.
 */
const KEPT_DAYS = 30;

/**
 * The Postgres schema in which the functions of a build are. Its name is made from their texts, so that two
 * builds with other functions never share one, and a process finds its own without asking.
 *
 * @returns null for a build without functions
 */
export function functionSchemaOf(scripts: readonly FunctionScript[]): string | null {
  if (scripts.length === 0) return null;
  const hash = createHash('sha256');
  for (const { sql } of scripts) hash.update(`${sql}\0`);
  return `functions_${hash.digest('hex').slice(0, 16)}`;
}

/**
 * Creates the functions of a build where they are not there yet, for the app role to call, and drops those of
 * old builds: neither among the ten that started last, nor started within the last 30 days. Functions of other
 * builds stay as they are: their processes go on calling them.
 *
 * @returns the names of the scripts that were run
 * @throws Error that names the script which failed; nothing of the build is left then
 */
export async function installFunctions(
  owner: Client,
  scripts: readonly FunctionScript[],
  appRole: string,
): Promise<string[]> {
  await owner.query(`CREATE TABLE IF NOT EXISTS ${FUNCTION_SCHEMA_TABLE} (
    name text PRIMARY KEY, started_at timestamptz NOT NULL)`);
  const schema = functionSchemaOf(scripts);
  if (schema === null) return [];
  const { rows } = await owner.query<{ isNew: boolean }>(
    `INSERT INTO ${FUNCTION_SCHEMA_TABLE} (name, started_at) VALUES ($1, now())
     ON CONFLICT (name) DO UPDATE SET started_at = excluded.started_at
     RETURNING to_regnamespace($1) IS NULL AS "isNew"`,
    [schema],
  );
  if (rows[0]?.isNew !== true) return [];
  await owner.query('BEGIN');
  try {
    await createSchema(owner, schema, scripts, escapeIdentifier(appRole));
    await dropOldest(owner);
    await owner.query('COMMIT');
  } catch (error) {
    await owner.query('ROLLBACK');
    throw error;
  }
  return scripts.map(({ name }) => name);
}

async function createSchema(
  owner: Client,
  schema: string,
  scripts: readonly FunctionScript[],
  app: string,
): Promise<void> {
  await owner.query(`CREATE SCHEMA ${schema}; SET LOCAL search_path = ${schema}, public`);
  for (const { name, sql } of scripts) {
    await owner.query(sql).catch((cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`The functions of ${name} cannot be created: ${detail}`, { cause });
    });
  }
  await owner.query(`
    GRANT USAGE ON SCHEMA ${schema} TO ${app};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${schema} TO ${app}`);
}

async function dropOldest(owner: Client): Promise<void> {
  const { rows } = await owner.query<{ name: string }>(
    `DELETE FROM ${FUNCTION_SCHEMA_TABLE} WHERE name IN (
       SELECT name FROM ${FUNCTION_SCHEMA_TABLE} ORDER BY started_at DESC OFFSET ${KEPT_BUILDS}
     ) AND started_at < now() - interval '${KEPT_DAYS} days' RETURNING name`,
  );
  for (const { name } of rows) {
    await owner.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(name)} CASCADE`);
  }
}
