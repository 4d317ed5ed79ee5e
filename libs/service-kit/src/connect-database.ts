import {
  Database,
  type DatabaseOptions,
  functionSchemaOf,
  migrate,
  type MigrateOptions,
  type MigrationReport,
} from '@sync/postgres';
import type { Logger } from './logger.ts';
import type { ConfigOf } from './read-config.ts';
import type { SERVICE_OPTIONS } from './service-options.ts';
import { untilAvailable } from './wait-for-part.ts';

type DatabaseConfig = Pick<
  ConfigOf<typeof SERVICE_OPTIONS>,
  'host' | 'port' | 'opsPort' | 'databaseUrl' | 'databaseOwnerUrl' | 'databasePoolSize' | 'migrateAndExit'
>;

/** The schema of a process, and the entities of its admin lists. */
export type DatabaseSchema = Omit<MigrateOptions, 'ownerUrl'> & Pick<DatabaseOptions, 'entities'>;

/**
 * Brings the database of a process to its schema, when it was told the owner's URL, and connects. A Postgres
 * that is not there, does not answer, or has not yet been migrated to this build by another process, is waited
 * for ({@link untilAvailable}). A process that is only there to migrate ends here, with exit code 0.
 * @param name of the process, for `pg_stat_activity`
 * @throws when Postgres refuses, or a migration fails
 */
export function connectDatabase(
  config: DatabaseConfig,
  name: string,
  { entities = [], ...schema }: DatabaseSchema,
  logger: Logger,
): Promise<Database> {
  const { databaseUrl: url, databaseOwnerUrl: ownerUrl, databasePoolSize: poolSize } = config;
  const functionSchema = functionSchemaOf(schema.functions ?? []);
  if (config.migrateAndExit && ownerUrl === '') throw new Error('MIGRATE_AND_EXIT needs DATABASE_OWNER_URL');
  return untilAvailable(config, logger, async () => {
    if (ownerUrl !== '') {
      const report = await migrate({ ownerUrl, ...schema });
      if (config.migrateAndExit) endMigrated(logger, report);
    }
    return Database.connect({ url, applicationName: name, functionSchema, entities, poolSize, logger });
  });
}

function endMigrated(logger: Logger, report: MigrationReport): never {
  logger.info({ event: 'migrated', ...report }, 'the database has the schema of this build');
  process.exit(0);
}
