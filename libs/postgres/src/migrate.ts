import { Client, escapeIdentifier } from 'pg';
import { DataSource, type Logger, type MigrationInterface } from 'typeorm';
import { FUNCTION_SCHEMA_TABLE, type FunctionScript, installFunctions } from './function-schema.ts';

/** A TypeORM migration; the class name ends in its timestamp (`CreateLedger1764000000000`). */
export type MigrationClass = new () => MigrationInterface;

/**
 * What the app role may do with one table when that is less than all rows' DML. `rights` as GRANT takes them:
 * `SELECT, INSERT` for rows that can only be added, `SELECT, INSERT, UPDATE (status)` for one column that may
 * change.
 */
export interface TableRights {
  readonly table: string;
  readonly rights: string;
}

/** Options of {@link migrate}. */
export interface MigrateOptions {
  /** Connection of the owner role. */
  readonly ownerUrl: string;
  readonly migrations: readonly MigrationClass[];
  /** The functions of this build, created after the migrations, in this order. */
  readonly functions?: readonly FunctionScript[];
  /** Gets the rights on rows; for an owner role `x_owner` it is `x_app` when not given. */
  readonly appRole?: string;
  /** Tables on which it gets less. */
  readonly appRights?: readonly TableRights[];
}

/**
 * What {@link migrate} changed: names of migrations and of scripts with functions, empty when all was in
 * place.
 */
export interface MigrationReport {
  readonly migrations: readonly string[];
  readonly functions: readonly string[];
}

/** Whoever waits for a server that does not answer says so, and tries again. */
const CONNECTION_WAIT_MS = 10_000;
const MIGRATION_TABLE = 'schema_migration';

/**
 * Brings a database to the schema of this code. Forward only: there is no way back but a new migration.
 *
 * 1. a session advisory lock, so that replicas which start together queue,
 * 2. the TypeORM migrations that have not run, each in its own transaction,
 * 3. the functions of this build, in a schema of their own ({@link functionSchemaOf}), all in one
 *    transaction,
 * 4. the app role's rights: rows, sequences and functions, for everything that exists and, through default
 *    privileges, for everything the owner creates later. No TRUNCATE: row level security does not apply to
 *    it. Less for the tables in `appRights`.
 *
 * Processes of the build before go on with their own functions on the new tables. So a migration must leave
 * them what they use: what is to go, goes one release later than its last use.
 *
 * @throws Error that names the migration or script that failed; the driver's error is its `cause`
 */
export async function migrate(options: MigrateOptions): Promise<MigrationReport> {
  const { ownerUrl, migrations, functions = [], appRights = [] } = options;
  const appRole = options.appRole ?? appRoleOf(ownerUrl);
  const owner = new Client({
    connectionString: ownerUrl,
    application_name: 'sync-migrate',
    keepAlive: true,
    connectionTimeoutMillis: CONNECTION_WAIT_MS,
  });
  owner.on('error', () => undefined); // a lost connection rejects the running query, that is enough
  await owner.connect();
  try {
    await owner.query(`SELECT pg_advisory_lock(hashtext('sync-migrate'))`);
    const applied = await runMigrations(ownerUrl, migrations);
    const created = await installFunctions(owner, functions, appRole);
    await grantToApp(owner, appRole, appRights);
    return { migrations: applied, functions: created };
  } finally {
    await owner.end();
  }
}

function appRoleOf(ownerUrl: string): string {
  const owner = decodeURIComponent(new URL(ownerUrl).username);
  if (!owner.endsWith('_owner')) {
    throw new Error(`migrate: cannot tell the app role from owner role "${owner}", give appRole`);
  }
  return owner.replace(/_owner$/, '_app');
}

async function runMigrations(url: string, migrations: readonly MigrationClass[]): Promise<string[]> {
  const log = new MigrationLog();
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    applicationName: 'sync-migrate',
    migrations: [...migrations],
    migrationsTableName: MIGRATION_TABLE,
    installExtensions: false,
    connectTimeoutMS: CONNECTION_WAIT_MS,
    logger: log,
    poolSize: 2,
  });
  await dataSource.initialize();
  try {
    // One transaction each, so that a migration may opt out of its own (CREATE INDEX CONCURRENTLY).
    const applied = await dataSource.runMigrations({ transaction: 'each' });
    return applied.map((migration) => migration.name);
  } catch (cause) {
    throw new Error(log.last, { cause });
  } finally {
    await dataSource.destroy();
  }
}

/** Keeps TypeORM off the console; its last word is the only place that names the migration which failed. */
class MigrationLog implements Logger {
  last = 'The migrations could not run';
  logMigration(message: string): void {
    this.last = message;
  }
  logQuery(): void {}
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  log(): void {}
}

/** One message, and so one transaction: a table with fewer rights never has more of them for a moment. */
async function grantToApp(owner: Client, appRole: string, appRights: readonly TableRights[]): Promise<void> {
  const app = escapeIdentifier(appRole);
  const rows = 'SELECT, INSERT, UPDATE, DELETE';
  const fewer = appRights.map(({ table, rights }) => {
    const name = escapeIdentifier(table);
    return `REVOKE ALL ON ${name} FROM ${app}; GRANT ${rights} ON ${name} TO ${app};`;
  });
  await owner.query(`
    GRANT USAGE ON SCHEMA public TO ${app};
    GRANT ${rows} ON ALL TABLES IN SCHEMA public TO ${app};
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO ${app};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${app};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ${rows} ON TABLES TO ${app};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO ${app};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO ${app};
    REVOKE ALL ON ${MIGRATION_TABLE}, ${FUNCTION_SCHEMA_TABLE} FROM ${app};
    ${fewer.join('\n')}`);
}
