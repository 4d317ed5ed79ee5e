import { Module } from '@nestjs/common';
import { backingReadiness, runService, type RunningService, storeReadiness } from '@sync/service-kit';
import type { GatewayConfig } from './config.ts';
import { wireAccess } from './wire-access.ts';
import { wireAdmin } from './wire-admin.ts';
import { wireAudit } from './wire-audit.ts';
import { wireConflicts } from './wire-conflicts.ts';
import { type Foundation, PRODUCER, wireFoundation } from './wire-foundation.ts';
import { wireReading } from './wire-reading.ts';
import { wireSuggestions } from './wire-suggestions.ts';
import { wireWriting } from './wire-writing.ts';

@Module({})
class GatewayModule {}

/** A gateway that accepts requests, and what it stands on: tests look at both. */
export interface RunningGateway extends RunningService {
  readonly foundation: Foundation;
}

/**
 * The composition root: connects, migrates, wires the capabilities by hand and accepts requests until
 * SIGTERM.
 * @throws when Postgres refuses, a migration fails or the port is taken; whoever does not answer is waited
 * for
 */
export async function startGateway(settings: GatewayConfig): Promise<RunningGateway> {
  const foundation = await wireFoundation(settings);
  const { config, logger, metrics, database, requestDatabase, nats, relay } = foundation;
  const audit = wireAudit(foundation);
  const access = wireAccess(foundation);
  const reading = await wireReading(foundation, access);
  const writing = wireWriting(foundation, access, reading, audit);
  const parts = [
    access,
    reading,
    writing,
    wireConflicts(foundation, writing.registry),
    wireAdmin(foundation, writing),
    wireSuggestions(foundation),
    // Last: what the others refuse until they have stopped is written, too.
    audit,
  ];

  relay.start();
  for (const part of parts) await part.start?.();
  const service = await runService({
    name: PRODUCER,
    module: {
      module: GatewayModule,
      controllers: parts.flatMap((part) => [...(part.controllers ?? [])]),
      providers: parts.flatMap((part) => [...(part.providers ?? [])]),
    },
    config,
    logger,
    metrics,
    readiness: [...backingReadiness(requestDatabase, nats), storeReadiness(nats, metrics, [relay])],
    prepare: async (app) => {
      for (const part of parts) await part.prepare?.(app);
    },
    onDrainStart: parts.map((part) => () => part.drainStart?.()),
    onDrain: [
      ...parts.map((part) => () => part.drain?.()),
      () => relay.stop(),
      () => nats.drain(),
      () => database.close(),
    ],
  });
  return { ...service, foundation };
}
