import { ensureStreams, type MessagingMetrics, OutboxRelay, startFaultInjection } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import {
  connectDatabase,
  connectSeal,
  connectService,
  createLogger,
  type KeySeal,
  type Logger,
  messagingMetrics,
  Metrics,
  SealError,
  untilAvailable,
} from '@sync/service-kit';
import type { Provider, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { NatsConnection } from '@nats-io/transport-node';
import type { GatewayConfig } from './config.ts';
import { APP_RIGHTS, FUNCTIONS, MIGRATIONS } from './database/schema.ts';
import { PoolWaits } from './fairness/pool-waits.ts';
import { CURSOR_SECRET_ROWS } from './pull/cursor-secret.ts';
import { RegistrationRights } from './registration/registration-rights.ts';
import { RegistrationEntity } from './registration/registration-entity.ts';

/** What everything else stands on, connected and migrated. */
export interface Foundation {
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of the relay and of consumers. */
  readonly hopMetrics: MessagingMetrics;
  /** For what nobody waits for: consumers, retention, relay. */
  readonly database: Database;
  /** The same pool for whatever answers a request: what Postgres does not answer in time becomes 503. */
  readonly requestDatabase: Database;
  /** Of `requestDatabase`. */
  readonly poolWaits: PoolWaits;
  /** Opens what is sealed in the database. */
  readonly keys: KeySeal;
  readonly nats: NatsConnection;
  readonly relay: OutboxRelay;
  readonly rights: RegistrationRights;
}

/** One capability group, ready to be put into the Nest module. */
export interface Wired {
  readonly controllers?: readonly Type[];
  readonly providers?: readonly Provider[];
  /** Before listening: hooks and sockets on the HTTP server. */
  readonly prepare?: (app: NestFastifyApplication) => void | Promise<void>;
  /** Consumers and timers; after the first connection, before requests are accepted. */
  readonly start?: () => void | Promise<void>;
  /** Requests are still open: end long polls and sockets. */
  readonly drainStart?: () => void | Promise<void>;
  /**
   * The last request has been answered: stop consumers and timers. Connections are closed after all of these.
   */
  readonly drain?: () => void | Promise<void>;
}

/** The producer name of the gateway's outbox on the wire. */
export const PRODUCER = 'sync-gateway';
/** For a connection of the pool; a request that finds none in this time is better told to come back. */
const CONNECTION_WAIT_MS = 2_000;

/**
 * Migrates (when the owner's URL is given), connects to Postgres and NATS, and creates the relay.
 * @throws when Postgres refuses, a migration fails, the file of rights cannot be used, or the master keys are
 * not those of the database; whoever does not answer is waited for
 */
export async function wireFoundation(config: GatewayConfig): Promise<Foundation> {
  const logger = createLogger({ service: PRODUCER, level: config.logLevel });
  const metrics = new Metrics(PRODUCER);
  const rights = await rightsOf(config, logger);
  const schema = {
    ...{ migrations: MIGRATIONS, functions: FUNCTIONS, appRights: APP_RIGHTS },
    entities: [RegistrationEntity],
  };
  const database = await connectDatabase(config, PRODUCER, schema, logger);
  const keys = await openKeys(config, database, logger);
  const poolWaits = new PoolWaits();
  const requestDatabase = database.withLimits({
    connectMs: CONNECTION_WAIT_MS,
    answerMs: config.databaseAnswerMs,
    onConnectWait: (waitedMs) => poolWaits.note(waitedMs),
  });
  const nats = await connectService(config, PRODUCER, logger);
  await ensureStreams(nats, Object.values(STREAMS), config.natsReplicas);
  if (config.faultInjection) startFaultInjection(nats, PRODUCER, logger);
  const hopMetrics = messagingMetrics(metrics, database);
  const relay = new OutboxRelay({
    database,
    nats,
    producer: PRODUCER,
    streams: [STREAMS.SYNC_EVENTS],
    logger,
    metrics: hopMetrics,
  });
  const databases = { database, requestDatabase, poolWaits };
  return { config, logger, metrics, hopMetrics, ...databases, keys, nats, relay, rights };
}

/** There is one secret; it is sealed before anybody is let in. */
async function openKeys(config: GatewayConfig, database: Database, logger: Logger): Promise<KeySeal> {
  try {
    const { keys, sealAll } = await connectSeal(config, database, [CURSOR_SECRET_ROWS], logger);
    const left = await untilAvailable(config, logger, sealAll);
    if (left > 0 && config.cursorSecret === '') {
      throw new SealError('The key of the cursor tokens does not open; the log says why');
    }
    return keys;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function rightsOf({ serviceRightsFile }: GatewayConfig, logger: Logger): Promise<RegistrationRights> {
  if (serviceRightsFile !== '') return RegistrationRights.fromFile(serviceRightsFile);
  logger.warn({}, 'SERVICE_RIGHTS_FILE is not set: any service may register any entity type that is free');
  return RegistrationRights.development();
}
