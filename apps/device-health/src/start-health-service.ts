import { Module } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { OutboxRelay, ensureStreams } from '@sync/messaging';
import { JetStreamStrategy, RemoteErrorFilter } from '@sync/messaging/nest';
import { STREAMS } from '@sync/protocol';
import {
  Metrics,
  type RunningService,
  backingReadiness,
  connectDatabase,
  connectService,
  createLogger,
  messagingMetrics,
  runService,
  storeReadiness,
} from '@sync/service-kit';
import { AssessEverybody } from './assessment/assess-everybody.ts';
import type { HealthConfig } from './config.ts';
import { FUNCTIONS, MIGRATIONS } from './database/schema.ts';
import { SyncEventsConsumer } from './events/sync-events.consumer.ts';
import { DevicesController } from './listing/devices.controller.ts';
import { DATABASE, LOGGER } from './tokens.ts';

const NAME = 'device-health';
/** Statuses are assessed every few seconds: observations may come in larger batches, which cost less. */
const LINGER_MS = 1_000;
const STATUSES = ['healthy', 'lagging', 'offline', 'stale', 'at_risk', 'revoked'];

@Module({})
class HealthModule {}

/**
 * Builds and runs the service: the composition root, apart from reading the environment.
 * @throws when Postgres refuses or the port is taken; whoever does not answer is waited for
 */
export async function startHealthService(config: HealthConfig): Promise<RunningService> {
  const logger = createLogger({ service: NAME, level: config.logLevel });
  const metrics = new Metrics(NAME);
  const devices = metrics.gauge('sync_devices', 'Devices by status.', ['status']);

  const schema = { migrations: MIGRATIONS, functions: FUNCTIONS };
  const database = await connectDatabase(config, NAME, schema, logger);
  const nats = await connectService(config, NAME, logger);
  await ensureStreams(nats, [STREAMS.SYNC_EVENTS], config.natsReplicas);
  const hopMetrics = messagingMetrics(metrics, database);
  const streams = [STREAMS.SYNC_EVENTS];
  const relay = new OutboxRelay({ database, nats, producer: NAME, streams, logger, metrics: hopMetrics });
  const assessment = new AssessEverybody({
    database,
    logger,
    everyMs: config.assessEverySeconds * 1000,
    report: (counts) => {
      for (const status of STATUSES) devices.set({ status }, counts.get(status) ?? 0);
    },
    afterRound: () => relay.kick(),
  });
  relay.start();
  assessment.start();

  return runService({
    name: NAME,
    module: {
      module: HealthModule,
      controllers: [SyncEventsConsumer, DevicesController],
      providers: [
        { provide: LOGGER, useValue: logger },
        { provide: DATABASE, useValue: database },
      ],
    },
    config,
    logger,
    metrics,
    readiness: [...backingReadiness(database, nats), storeReadiness(nats, metrics, [relay])],
    prepare: async (app) => {
      app.useGlobalFilters(new RemoteErrorFilter());
      app.connectMicroservice<MicroserviceOptions>(
        {
          strategy: new JetStreamStrategy({
            nats,
            database,
            consumer: NAME,
            streams,
            lingerMs: LINGER_MS,
            logger,
            metrics: hopMetrics,
          }),
        },
        { inheritAppConfig: true },
      );
      await app.startAllMicroservices();
    },
    onDrain: [() => assessment.stop(), () => relay.stop(), () => nats.drain(), () => database.close()],
  });
}
