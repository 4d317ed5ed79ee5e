import { ensureStreams, OutboxRelay, startFaultInjection, type MessagingMetrics } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import {
  connectDatabase,
  connectService,
  createLogger,
  type Logger,
  messagingMetrics,
  Metrics,
} from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import type { ProjectorConfig } from './config.ts';
import { MIGRATIONS, FUNCTIONS } from './database/schema.ts';

/** What everything else stands on, connected and migrated. */
export interface Foundation {
  readonly config: ProjectorConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly hopMetrics: MessagingMetrics;
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly relay: OutboxRelay;
}

/** The projector's name: of its consumer, its outbox, its database connections. */
export const NAME = 'delta-projector';

/**
 * Migrates (when the owner's URL is given), connects to Postgres and NATS, makes sure of the streams, and
 * creates the relay.
 * @throws when Postgres refuses, or a migration fails; whoever does not answer is waited for
 */
export async function wireFoundation(config: ProjectorConfig): Promise<Foundation> {
  const logger = createLogger({ service: NAME, level: config.logLevel });
  const metrics = new Metrics(NAME);
  const schema = { migrations: MIGRATIONS, functions: FUNCTIONS };
  const database = await connectDatabase(config, NAME, schema, logger);
  const nats = await connectService(config, NAME, logger);
  await ensureStreams(nats, Object.values(STREAMS), config.natsReplicas);
  if (config.faultInjection) startFaultInjection(nats, NAME, logger);
  const hopMetrics = messagingMetrics(metrics, database);
  const relay = new OutboxRelay({
    database,
    nats,
    producer: NAME,
    streams: [STREAMS.DELTAS, STREAMS.SYNC_EVENTS],
    logger,
    metrics: hopMetrics,
  });
  return { config, logger, metrics, hopMetrics, database, nats, relay };
}
