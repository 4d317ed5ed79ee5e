import { Module } from '@nestjs/common';
import { PartitionedConsumer, Responder, connectNats, ensureStreams } from '@sync/messaging';
import { ownerMigrations, startOwner } from '@sync/owner-sdk';
import { Database, migrate } from '@sync/postgres';
import { STREAMS, subjects } from '@sync/protocol';
import { Metrics, createLogger, runService } from '@sync/service-kit';
import { readResolverConfig } from './config.ts';
import { CreateConflictRecords1764000000000 } from './database/create-conflict-records.ts';
import { CreateSuggestions1764100000000 } from './database/create-suggestions.ts';
import { answerDecide } from './decide/answer-decide.ts';
import { answerList } from './listing/answer-list.ts';
import { conflictEntity } from './records/conflict-entity.ts';
import { loadConflicts } from './records/conflict-store.ts';
import { recordConflicts } from './records/record-conflicts.ts';
import { readAIConfig } from './suggestions/ai-config.ts';
import { startSuggestions } from './suggestions/start-suggestions.ts';

const NAME = 'conflict-resolver';

@Module({})
class ResolverModule {}

const config = readResolverConfig(process.env);
const ai = readAIConfig(config);
const logger = createLogger({ service: NAME, level: config.logLevel });
const metrics = new Metrics(NAME);
const decided = metrics.counter('sync_decisions_total', 'Decisions on concurrent mutations.', [
  'kind',
  'policy',
]);
const recorded = metrics.counter('sync_conflict_records_total', 'ConflictRecords stored.');

if (config.databaseOwnerUrl !== '') {
  await migrate({
    ownerUrl: config.databaseOwnerUrl,
    migrations: [...ownerMigrations, CreateConflictRecords1764000000000, CreateSuggestions1764100000000],
  });
}
const database = await Database.connect({
  url: config.databaseUrl,
  applicationName: NAME,
  poolSize: config.databasePoolSize,
  logger,
});
const nats = await connectNats({ url: config.natsUrl, name: NAME, logger });
await ensureStreams(nats, [STREAMS.DOMAIN_EVENTS, STREAMS.SYNC_EVENTS]);

const owner = startOwner({ service: NAME, database, nats, entities: [conflictEntity], logger });
const responder = { nats, queue: NAME, logger };
const deciding = new Responder({
  ...responder,
  subject: subjects.decide,
  handle: (body) => {
    const reply = answerDecide(body);
    for (const { kind } of reply.decisions) decided.inc({ kind });
    return Promise.resolve(reply);
  },
});
const listing = new Responder({
  ...responder,
  subject: subjects.conflicts,
  handle: (body) => answerList(database, body),
});
const consumer = new PartitionedConsumer({
  database,
  nats,
  stream: STREAMS.SYNC_EVENTS,
  consumer: NAME,
  // A user may look for the record of a conflict soon after it; most events are of no interest here.
  lingerMs: 100,
  logger,
  handle: async (tx, batch) => {
    const added = await recordConflicts(tx, batch, owner);
    recorded.inc(added);
    if (added > 0) owner.kick();
  },
  onPruned: (pruned) => {
    logger.error({ event: 'records_lost', ...pruned }, 'sync events were pruned before they were recorded');
    return Promise.resolve();
  },
});
consumer.start();
const suggestions = startSuggestions({
  queue: NAME,
  database,
  nats,
  logger,
  metrics,
  ai,
  announce: async (tx, tenantId, conflictId) => {
    const records = await loadConflicts(tx, tenantId, [conflictId]);
    const changes = [...records].map(([entityId, data]) => ({ entityType: 'conflict', entityId, data }));
    await owner.announce(tx, tenantId, changes);
  },
  kick: () => owner.kick(),
});

await runService({
  name: NAME,
  module: ResolverModule,
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
  onDrain: [
    () => deciding.stop(),
    () => listing.stop(),
    () => suggestions.stop(),
    () => consumer.stop(),
    () => owner.stop(),
    () => nats.drain(),
    () => database.close(),
  ],
});
