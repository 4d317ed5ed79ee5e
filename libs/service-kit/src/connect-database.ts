import {
  Database,
  type DatabaseOptions,
  functionSchemaOf,
  migrate,
  type MigrateOptions,
} from '@sync/postgres';
import type { Logger } from './logger.ts';
import type { ConfigOf } from './read-config.ts';
import type { SERVICE_OPTIONS } from './service-options.ts';
import { untilAvailable } from './wait-for-part.ts';

type DatabaseConfig = Pick<
  ConfigOf<typeof SERVICE_OPTIONS>,
  'host' | 'port' | 'opsPort' | 'databaseUrl' | 'databaseOwnerUrl' | 'databasePoolSize'
>;

/** The schema of a process, and the entities of its admin lists. */
export type DatabaseSchema = Omit<MigrateOptions, 'ownerUrl'> & Pick<DatabaseOptions, 'entities'>;

/**
 * Brings the database of a process to its schema, when it was told the owner's URL, and connects. A Postgres
 * that is not there, does not answer, or has not yet been migrated to this build by another process, is waited
 * for ({@link untilAvailable}).
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
  return untilAvailable(config, logger, async () => {
    if (ownerUrl !== '') await migrate({ ownerUrl, ...schema });
    return Database.connect({ url, applicationName: name, functionSchema, entities, poolSize, logger });
  });
}
