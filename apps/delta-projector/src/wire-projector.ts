import { PartitionedConsumer } from '@sync/messaging';
import { STREAMS, subjects } from '@sync/protocol';
import { untilAvailable } from '@sync/service-kit';
import { requestRun } from './backfill/backfill-store.ts';
import { BackfillType } from './backfill/backfill-type.ts';
import { BackfillWorker } from './backfill/backfill-worker.ts';
import { logRefusals } from './dead-letters/log-refusals.ts';
import { AskingDatabase } from './projection/asking-database.ts';
import { ConsumeDomainEvents, type Consumed } from './projection/consume-domain-events.ts';
import { ForeignSubjects } from './projection/foreign-subjects.ts';
import { ProjectEvents } from './projection/project-events.ts';
import { ProjectionMetrics } from './projection/projection-metrics.ts';
import { RemoteProjector } from './projection/remote-projector.ts';
import { WholeDocuments } from './projection/whole-documents.ts';
import { Registry } from './registry/registry.ts';
import { NAME, type Foundation } from './wire-foundation.ts';

/** What projects: registry, consumers and backfill, and what operations need of them. */
export interface Projector {
  readonly registry: Registry;
  readonly asking: AskingDatabase;
  readonly projection: ProjectEvents;
  readonly projectionMetrics: ProjectionMetrics;
  readonly backfillWorker: BackfillWorker;
  readonly consumer: PartitionedConsumer<Consumed>;
  start(): Promise<void>;
  /** Finishes what is in hand and gives all leases back. */
  stop(): Promise<void>;
}

/** Builds the projection of events, live and from snapshots. */
export function wireProjector(foundation: Foundation): Projector {
  const { config, logger, database, nats, relay, metrics } = foundation;
  const projectionMetrics = new ProjectionMetrics(metrics);
  const registry = new Registry({
    database,
    nats,
    logger,
    onChanged: () => {
      backfillWorker.look();
      foreign.follow();
    },
  });
  const types = (): ReturnType<Registry['all']> => registry.all();
  const others = { types: registry, remote: new RemoteProjector(nats), documents: new WholeDocuments(nats) };
  const asking = new AskingDatabase(database, others);
  const projection = new ProjectEvents(registry, asking, config.origin);
  const consume = new ConsumeDomainEvents(projection, projectionMetrics, logger);
  const backfill = new BackfillType(asking, nats, projection, (entityType, outcomes, refusals) => {
    projectionMetrics.countBackfill(entityType, outcomes);
    logRefusals(logger, refusals, ({ producer }) => subjects.snapshot(producer, entityType));
    relay.kick();
  });
  const reconcileMs = config.reconcileIntervalS * 1000;
  const backfillWorker = new BackfillWorker({ database, backfill, types, logger, reconcileMs });
  const onCommitted = (consumed: Consumed): void => {
    consume.committed(consumed);
    backfillWorker.notePlain(consumed.plainTypes);
    relay.kick();
  };
  const foreign = new ForeignSubjects({
    database: asking,
    nats,
    consume,
    logger,
    types,
    onCommitted,
  });
  const consumer = consumeWith({ ...foundation, database: asking }, registry, consume, onCommitted, () =>
    backfillWorker.look(),
  );
  return {
    registry,
    asking,
    projection,
    projectionMetrics,
    backfillWorker,
    consumer,
    start: async () => {
      await untilAvailable(config, logger, () => registry.start());
      consumer.start();
      foreign.follow();
      backfillWorker.start();
    },
    stop: async () => {
      await Promise.all([foreign.stop(), backfillWorker.stop()]);
      await consumer.stop();
      await registry.stop();
    },
  };
}

/** The consumer of DOMAIN_EVENTS. */
function consumeWith(
  {
    database,
    nats,
    logger,
    hopMetrics,
  }: Omit<Foundation, 'database'> & { readonly database: AskingDatabase },
  registry: Registry,
  consume: ConsumeDomainEvents,
  onCommitted: (consumed: Consumed) => void,
  lookForRuns: () => void,
): PartitionedConsumer<Consumed> {
  return new PartitionedConsumer({
    database,
    nats,
    stream: STREAMS.DOMAIN_EVENTS,
    consumer: NAME,
    plain: true,
    logger,
    metrics: hopMetrics,
    handle: (tx, batches) => consume.handle(tx, batches),
    afterCommit: onCommitted,
    // What was pruned is known to its owner alone: all it has is read again.
    onPruned: async ({ producer }) => {
      await registry.refresh();
      const owned = registry.all().filter(({ registration }) => registration.service === producer);
      await requestRun(
        database,
        owned.map(({ registration }) => registration.entityType),
        'pruned',
      );
      lookForRuns();
    },
  });
}
