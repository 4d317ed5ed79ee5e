import { Module } from '@nestjs/common';
import { awaitStreams, messagingMigrations, repeatedUpkeep } from '@sync/messaging';
import { STREAMS } from '@sync/protocol';
import { type RunningService, runService, storeReadiness } from '@sync/service-kit';
import { layFoundation } from '../platform-foundation.ts';
import type { AnalyticsConfig } from './config.ts';
import { CreateAnalytics1764000000000 } from './database/create-analytics.ts';
import { KeepEventsAsSent1764100000000 } from './database/keep-events-as-sent.ts';
import { consumeSyncEvents } from './events/consume-sync-events.ts';
import { forgetEvents } from './events/event-store.ts';
import { DATABASE, EventsController } from './events/events.controller.ts';

const NAME = 'analytics';
const FORGET_EVERY_MS = 3_600_000;

@Module({})
class AnalyticsModule {}

/** Stands where a company's analytics would: the sync firehose in a table of its own. */
export async function startAnalytics(config: AnalyticsConfig): Promise<RunningService> {
  const migrations = [...messagingMigrations, CreateAnalytics1764000000000, KeepEventsAsSent1764100000000];
  const foundation = await layFoundation(NAME, config, migrations);
  const { logger, metrics, database, nats, readiness } = foundation;
  await awaitStreams(nats, [STREAMS.SYNC_EVENTS], (stream) =>
    logger.info({ stream }, 'waiting for the stream'),
  );
  const consumer = consumeSyncEvents({ database, nats, logger });
  consumer.start();
  const forgetting = repeatedUpkeep(() => forgetEvents(database, config.retentionHours), {
    everyMs: FORGET_EVERY_MS,
    logger,
    failure: 'could not forget old events, next try in an hour',
  });
  forgetting.start();
  return runService({
    name: NAME,
    module: {
      module: AnalyticsModule,
      controllers: [EventsController],
      providers: [{ provide: DATABASE, useValue: database }],
    },
    config,
    logger,
    metrics,
    readiness: [...readiness, storeReadiness(nats, metrics, [])],
    onDrain: [() => forgetting.stop(), () => consumer.stop(), () => foundation.close()],
  });
}
