import { Module } from '@nestjs/common';
import { runService } from '@sync/service-kit';
import { readGatewayConfig } from './config.ts';
import { wireAccess } from './wire-access.ts';
import { PRODUCER, wireFoundation } from './wire-foundation.ts';
import { wireReading } from './wire-reading.ts';

@Module({})
class GatewayModule {}

const foundation = await wireFoundation(readGatewayConfig(process.env));
const { config, logger, metrics, database, nats, relay } = foundation;
const access = wireAccess(foundation);
const reading = await wireReading(foundation, access);
const parts = [access, reading];

relay.start();
for (const part of parts) await part.start?.();

await runService({
  name: PRODUCER,
  module: {
    module: GatewayModule,
    controllers: parts.flatMap((part) => [...(part.controllers ?? [])]),
    providers: parts.flatMap((part) => [...(part.providers ?? [])]),
  },
  config,
  logger,
  metrics,
  readiness: [
    {
      name: 'postgres',
      check: async () => {
        await database.call('ready', 'SELECT 1', []);
      },
    },
    { name: 'nats', check: () => nats.flush() },
  ],
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
