import { Module } from '@nestjs/common';
import { runService } from '@sync/service-kit';
import { readProjectorConfig } from './config.ts';
import { NAME, wireFoundation } from './wire-foundation.ts';
import { wireOperations } from './wire-operations.ts';
import { wireProjector } from './wire-projector.ts';

@Module({})
class ProjectorModule {}

const foundation = await wireFoundation(readProjectorConfig(process.env));
const { config, logger, metrics, database, nats, relay } = foundation;
const projector = wireProjector(foundation);
const operations = wireOperations(foundation, projector);

relay.start();
await projector.start();
await operations.start();

await runService({
  name: NAME,
  module: ProjectorModule,
  config,
  logger,
  metrics,
  readiness: operations.readiness,
  onDrain: [
    () => operations.stop(),
    () => projector.stop(),
    () => relay.stop(),
    () => nats.drain(),
    () => database.close(),
  ],
});
