import { Module } from '@nestjs/common';
import { awaitStreams } from '@sync/messaging';
import { type Owner, ownerMigrations, startOwner } from '@sync/owner-sdk';
import type { MigrationClass } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import { type RunningService, runService, storeReadiness } from '@sync/service-kit';
import { ChangeEntities } from '../dev-entities/change-entities.ts';
import { CHANGE_ENTITIES, DevEntitiesController } from '../dev-entities/dev-entities.controller.ts';
import type { PlatformConfig } from '../platform-config.ts';
import { layFoundation } from '../platform-foundation.ts';
import type { OwnedEntity } from './owned-entity.ts';
import { ownerMetrics } from './owner-metrics.ts';

@Module({})
class OwningServiceModule {}

/** The bulk endpoint takes 1000 entities. */
const BODY_LIMIT_BYTES = 32 * 1024 * 1024;

/** Whoever waits for the platform to be ready may push at once. */
function requireRegistration(owner: Owner): Promise<void> {
  if (owner.registered()) return Promise.resolve();
  return Promise.reject(new Error('no gateway has accepted the registration yet'));
}

/**
 * Runs a service that owns entity types: the SDK for devices, `/dev/…/entities` for changes on the server
 * side.
 */
export async function startOwningService(
  name: string,
  config: PlatformConfig,
  options: {
    readonly migrations: readonly MigrationClass[];
    readonly entities: readonly OwnedEntity[];
    /** Ends what the entities keep running. */
    readonly close?: () => Promise<void>;
  },
): Promise<RunningService> {
  const foundation = await layFoundation(name, config, [...ownerMigrations, ...options.migrations]);
  const { logger, metrics, database, nats, readiness } = foundation;
  await awaitStreams(nats, [STREAMS.DOMAIN_EVENTS], (stream) =>
    logger.info({ stream }, 'waiting for the stream'),
  );
  const owner = startOwner({
    service: name,
    database,
    nats,
    entities: options.entities.map(({ definition }) => definition),
    logger,
    metrics: ownerMetrics(metrics),
  });
  return runService({
    name,
    module: {
      module: OwningServiceModule,
      controllers: [DevEntitiesController],
      providers: [
        { provide: CHANGE_ENTITIES, useValue: new ChangeEntities(database, owner, options.entities) },
      ],
    },
    config,
    logger,
    metrics,
    readiness: [
      ...readiness,
      storeReadiness(nats, metrics, [owner]),
      { name: 'registration', check: () => requireRegistration(owner) },
    ],
    bodyLimitBytes: BODY_LIMIT_BYTES,
    onDrain: [() => owner.stop(), async () => options.close?.(), () => foundation.close()],
  });
}
