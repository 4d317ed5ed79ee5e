import type { NatsConnection } from '@nats-io/transport-node';
import { startFaultInjection } from '@sync/messaging';
import type { Database, MigrationClass } from '@sync/postgres';
import {
  type Logger,
  Metrics,
  type ReadinessCheck,
  backingReadiness,
  connectDatabase,
  connectService,
  createLogger,
} from '@sync/service-kit';
import type { PlatformConfig } from './platform-config.ts';

/** What every service of the platform stands on. */
export interface PlatformFoundation {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly readiness: readonly ReadinessCheck[];
  /** Closes both connections; the last step of a drain. */
  close(): Promise<void>;
}

/**
 * Brings the service's database to its schema (when the owner's URL is given) and connects.
 * @throws when Postgres refuses, or a migration fails; whoever does not answer is waited for
 */
export async function layFoundation(
  name: string,
  config: PlatformConfig,
  migrations: readonly MigrationClass[],
): Promise<PlatformFoundation> {
  const logger = createLogger({ service: name, level: config.logLevel });
  const database = await connectDatabase(config, name, { migrations }, logger);
  const nats = await connectService(config, name, logger);
  if (config.faultInjection) startFaultInjection(nats, name, logger);
  return {
    logger,
    metrics: new Metrics(name),
    database,
    nats,
    readiness: backingReadiness(database, nats),
    async close() {
      await nats.drain();
      await database.close();
    },
  };
}
