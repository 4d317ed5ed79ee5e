import { repeatedUpkeep, Responder } from '@sync/messaging';
import { PLAIN_PARTITION, STREAMS, subjects } from '@sync/protocol';
import { backingReadiness, type ReadinessCheck, storeReadiness } from '@sync/service-kit';
import { RebuildProjection } from './backfill/rebuild-projection.ts';
import { listDeadLetters } from './dead-letters/list-dead-letters.ts';
import { countQuarantined, pruneDeadLetters } from './dead-letters/prune-dead-letters.ts';
import { ReplayDeadLetters } from './dead-letters/replay-dead-letters.ts';
import { RetryDeadLetters } from './dead-letters/retry-dead-letters.ts';
import { answerDeletedData } from './explain/deleted-data.ts';
import { explainEntity } from './explain/explain-entity.ts';
import { deletionPruning } from './projection/forget-deleted.ts';
import { NAME, type Foundation } from './wire-foundation.ts';
import type { Projector } from './wire-projector.ts';

const PRUNE_MS = 3_600_000;

/** What operators and the admin API use: dead letters, explain, rebuild, gauges, readiness. */
export interface Operations {
  readonly readiness: readonly ReadinessCheck[];
  /** Resolves when NATS knows that these subjects are answered here. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Builds the operators' side of the projector. */
export function wireOperations(foundation: Foundation, projector: Projector): Operations {
  const { config, database, nats, relay, logger } = foundation;
  const { asking, projection, projectionMetrics, backfillWorker, registry } = projector;
  const replay = new ReplayDeadLetters(asking, projection, (outcomes) => {
    projectionMetrics.countOutcomes(outcomes);
    relay.kick();
  });
  const retry = new RetryDeadLetters(database, registry, replay, logger);
  const rebuild = new RebuildProjection(database, config.origin, () => {
    relay.kick();
    backfillWorker.look();
  });
  const answers: readonly (readonly [string, (body: unknown) => Promise<unknown>])[] = [
    [subjects.deadLetters, (body) => listDeadLetters(database, body)],
    [subjects.deadLetterReplay, (body) => replay.answer(body)],
    [subjects.explain, (body) => explainEntity(database, body)],
    [subjects.deletedData, (body) => answerDeletedData(database, body)],
    [subjects.projectorRebuild, (body) => rebuild.answer(body)],
  ];
  watchGauges(foundation, projector);
  let responders: readonly Responder[] = [];
  const prune = repeatedUpkeep(() => pruneDeadLetters(database, config.deadLetterDays), {
    everyMs: PRUNE_MS,
    logger,
    failure: 'could not prune dead letters',
  });
  const forget = deletionPruning(database, config.tombstoneDays, logger);
  return {
    readiness: readinessOf(foundation),
    start: async () => {
      responders = answers.map(
        ([subject, handle]) => new Responder({ nats, subject, queue: NAME, logger, handle, concurrency: 4 }),
      );
      retry.start();
      prune.start();
      forget.start();
      await nats.flush();
    },
    stop: async () => {
      await Promise.all([prune.stop(), forget.stop()]);
      await Promise.all(responders.map((responder) => responder.stop()));
      await retry.stop();
    },
  };
}

function watchGauges({ metrics, database }: Foundation, { consumer }: Projector): void {
  metrics.gauge(
    'sync_projection_partitions',
    'Partitions of DOMAIN_EVENTS that this worker holds.',
    [],
    (gauge) => {
      gauge.set(consumer.partitions().length);
    },
  );
  metrics.gauge(
    'sync_quarantined_entities',
    'Entities whose events wait behind a dead letter.',
    [],
    async (gauge) => gauge.set(await countQuarantined(database)),
  );
}

function readinessOf({ database, nats, metrics, relay }: Foundation): readonly ReadinessCheck[] {
  const partitions = [...Array(STREAMS.DOMAIN_EVENTS.partitions).keys(), PLAIN_PARTITION];
  const leases = partitions.map((partition) => `consume:${NAME}:${STREAMS.DOMAIN_EVENTS.name}:${partition}`);
  return [
    ...backingReadiness(database, nats),
    storeReadiness(nats, metrics, [relay]),
    {
      // Not "this worker holds one": with more workers than partitions, a worker in waiting is ready as well.
      name: 'partitions',
      check: async () => {
        const rows = await database.call<{ held: number }>(
          'ready_leases',
          'SELECT count(*)::int4 AS held FROM sync_lease WHERE name = ANY ($1) AND expires_at > now()',
          [leases],
        );
        const held = rows[0]?.held ?? 0;
        if (held < leases.length) throw new Error(`${held} of ${leases.length} partitions have a worker`);
      },
    },
  ];
}
