import { Module } from '@nestjs/common';
import { ensureStreams, startFaultInjection } from '@sync/messaging';
import { startOwner } from '@sync/owner-sdk';
import { STREAMS } from '@sync/protocol';
import {
  Metrics,
  backingReadiness,
  connectDatabase,
  connectService,
  createLogger,
  messagingMetrics,
  runService,
  storeReadiness,
} from '@sync/service-kit';
import { startResponders } from './answering/responders.ts';
import { readResolverConfig } from './config.ts';
import { APP_RIGHTS, MIGRATIONS, FUNCTIONS } from './database/schema.ts';
import { announceConflicts } from './records/announce-conflicts.ts';
import { conflictEntity } from './records/conflict-entity.ts';
import { consumeConflicts } from './records/consume-conflicts.ts';
import { recordMetrics } from './records/record-metrics.ts';
import { askOwner } from './resolve/ask-owner.ts';
import { HealClaims } from './resolve/heal-claims.ts';
import { ResolutionMetrics } from './resolve/resolution-metrics.ts';
import { ResolveConflict } from './resolve/resolve-conflict.ts';
import { readAIConfig } from './suggestions/ai-config.ts';
import { startSuggestions } from './suggestions/start-suggestions.ts';
import { modelSuggestions } from './suggestions/take-suggestion.ts';

const NAME = 'conflict-resolver';
/** Together with an owner's time-out well below the gateway's for this question. */
const WAIT_MS = 2_000;

@Module({})
class ResolverModule {}

const config = readResolverConfig(process.env);
const ai = readAIConfig(config);
const logger = createLogger({ service: NAME, level: config.logLevel });
const metrics = new Metrics(NAME);

const schema = { migrations: MIGRATIONS, functions: FUNCTIONS, appRights: APP_RIGHTS };
const database = await connectDatabase(config, NAME, schema, logger);
const nats = await connectService(config, NAME, logger);
await ensureStreams(nats, [STREAMS.DOMAIN_EVENTS, STREAMS.SYNC_EVENTS], config.natsReplicas);
if (config.faultInjection) startFaultInjection(nats, NAME, logger);

const suggestions = modelSuggestions;
const hopMetrics = messagingMetrics(metrics, database);
const owner = startOwner({
  service: NAME,
  database,
  nats,
  entities: [conflictEntity(suggestions)],
  alsoRelays: [STREAMS.SYNC_EVENTS],
  logger,
  hopMetrics,
});
const resolve = new ResolveConflict(
  database,
  { owner, suggestions, now: () => new Date(), waitMs: WAIT_MS },
  (tenantId, claim) => askOwner(nats, logger, tenantId, claim),
  new ResolutionMetrics(metrics),
);
const heal = new HealClaims(resolve, logger);
const responders = startResponders({ nats, queue: NAME, logger, database, suggestions, resolve });
const consumer = consumeConflicts({
  service: NAME,
  ...{ database, nats, logger, metrics: hopMetrics, owner, suggestions },
  recorded: recordMetrics(metrics, database),
});
consumer.start();
heal.start();
const suggesting = startSuggestions({
  ...{ queue: NAME, database, nats, logger, metrics, ai },
  announce: async (tx, tenantId, conflictId) => {
    await announceConflicts(tx, owner, suggestions, tenantId, [conflictId]);
  },
  kick: () => owner.kick(),
});

await runService({
  name: NAME,
  module: ResolverModule,
  config,
  logger,
  metrics,
  readiness: [...backingReadiness(database, nats), storeReadiness(nats, metrics, [owner])],
  onDrain: [
    ...responders.map((responder) => () => responder.stop()),
    () => suggesting.stop(),
    () => consumer.stop(),
    () => heal.stop(),
    () => owner.stop(),
    () => nats.drain(),
    () => database.close(),
  ],
});
