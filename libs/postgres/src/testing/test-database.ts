import { createHash, randomBytes } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { Database, type DatabaseOptions } from '../database.ts';
import { type FunctionScript, functionSchemaOf } from '../function-schema.ts';
import { migrate, type MigrationClass, type TableRights } from '../migrate.ts';
import { asAdmin, derivePassword, provision, restrictDatabase, withCredentials } from '../provision.ts';

/** Options of {@link createTestDatabase}. */
export interface TestDatabaseOptions {
  readonly postgres: { readonly adminUrl: string };
  /** Part of the database's name, usually the app's: `^[a-z][a-z0-9_]{0,20}$`. */
  readonly name: string;
  readonly migrations?: readonly MigrationClass[];
  readonly functions?: readonly FunctionScript[];
  readonly appRights?: readonly TableRights[];
  readonly entities?: DatabaseOptions['entities'];
  readonly poolSize?: number;
}

/** A migrated database of one test file. */
export interface TestDatabase {
  /** Connected as the app role, as in production. */
  readonly database: Database;
  readonly ownerUrl: string;
  readonly appUrl: string;
  /**
   * Statements of a superuser for whom no trigger and no policy counts: somebody who has the server in hands.
   * @throws when one of them touches no row
   */
  tamper(...statements: readonly string[]): Promise<void>;
  /** Closes `database` and drops it. */
  drop(): Promise<void>;
}

/** Not the lock of `provision`, which runs inside it on another connection. */
const LOCK = 'sync-test-database';

/**
 * A database of its own for one test file. The first caller migrates a template whose name carries a hash of
 * all migrations and scripts; everybody after that gets a copy of it, which takes about 50 ms however long
 * the schema grew.
 */
export async function createTestDatabase(options: TestDatabaseOptions): Promise<TestDatabase> {
  const { adminUrl } = options.postgres;
  if (!/^[a-z][a-z0-9_]{0,20}$/.test(options.name))
    throw new RangeError(`Test database name "${options.name}"`);
  const template = `tt_${options.name}_${hashOf(options)}`;
  const name = `t_${options.name}_${randomBytes(5).toString('hex')}`;
  const roles = { owner: `${template}_owner`, app: `${template}_app` };
  await asAdmin(adminUrl, LOCK, async (admin) => {
    if (!(await isReady(admin, template))) await createTemplate(admin, template, options);
    await admin.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(template)}`);
    await restrictDatabase(admin, name, roles);
  });
  const secret = decodeURIComponent(new URL(adminUrl).password);
  const urlFor = (role: string): string =>
    withCredentials(adminUrl, name, role, derivePassword(secret, role));
  const { entities = [], poolSize = 10, functions = [] } = options;
  const database = await Database.connect({
    url: urlFor(roles.app),
    applicationName: name,
    functionSchema: functionSchemaOf(functions),
    entities,
    poolSize,
  });
  const drop = async (): Promise<void> => {
    await database.close();
    await asAdmin(adminUrl, LOCK, (admin) =>
      admin.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`),
    );
  };
  const tamper = (...statements: readonly string[]): Promise<void> => tamperWith(adminUrl, name, statements);
  return { database, ownerUrl: urlFor(roles.owner), appUrl: urlFor(roles.app), tamper, drop };
}

async function tamperWith(adminUrl: string, name: string, statements: readonly string[]): Promise<void> {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const superuser = new Client({ connectionString: url.href });
  await superuser.connect();
  try {
    await superuser.query(`SET session_replication_role = 'replica'`);
    for (const sql of statements) {
      const { rowCount } = await superuser.query(sql);
      if (rowCount === 0) throw new Error(`nothing to tamper with: ${sql}`);
    }
  } finally {
    await superuser.end();
  }
}

/**
 * The code of the migrations belongs to the hash: on a server that lives longer than a run, an edit must not
 * find an old template.
 */
function hashOf({ migrations = [], functions = [], appRights = [] }: TestDatabaseOptions): string {
  const hash = createHash('sha256');
  for (const migration of migrations) hash.update(migration.toString());
  for (const script of functions) hash.update(`${script.name}\n${script.sql}\n`);
  for (const { table, rights } of appRights) hash.update(`${table} ${rights}\n`);
  return hash.digest('hex').slice(0, 12);
}

/**
 * Only a template marked as such is complete: a run that was killed while migrating leaves an unmarked one.
 */
async function isReady(admin: Client, template: string): Promise<boolean> {
  const found = await admin.query<{ datistemplate: boolean }>(
    'SELECT datistemplate FROM pg_database WHERE datname = $1',
    [template],
  );
  if (found.rows[0]?.datistemplate === false) {
    await admin.query(`DROP DATABASE ${escapeIdentifier(template)} WITH (FORCE)`);
  }
  return found.rows[0]?.datistemplate === true;
}

async function createTemplate(admin: Client, template: string, options: TestDatabaseOptions): Promise<void> {
  const { ownerUrl } = await provision({ adminUrl: options.postgres.adminUrl, name: template });
  const { migrations = [], functions = [], appRights = [] } = options;
  await migrate({ ownerUrl, migrations, functions, appRights });
  await admin.query(`ALTER DATABASE ${escapeIdentifier(template)} WITH IS_TEMPLATE true`);
}
