import { setTimeout as sleep } from 'node:timers/promises';
import {
  appendToOutbox,
  connectNats,
  messagingMigrations,
  OutboxRelay,
  partitionOf,
  Responder,
} from '@sync/messaging';
import { startNats, type RunningNats } from '@sync/messaging/testing';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import {
  STREAMS,
  subjects,
  type DomainEvent,
  type RegisteredEntityType,
  type SnapshotEntity,
  type SnapshotPage,
  type SnapshotRequest,
  type DeltaBatch,
  parseDeltaBatch,
} from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import { readProjectorConfig } from '../config.ts';
import { MIGRATIONS, FUNCTIONS } from '../database/schema.ts';
import { wireFoundation, type Foundation } from '../wire-foundation.ts';
import { wireOperations, type Operations } from '../wire-operations.ts';
import { wireProjector, type Projector } from '../wire-projector.ts';
import { REGISTRATIONS } from './domain-events.ts';

const WAIT_MS = 25_000;

/** One worker of the projector, as `main.ts` composes it, without its HTTP server. */
export interface Worker {
  readonly foundation: Foundation;
  readonly projector: Projector;
  readonly operations: Operations;
  stop(): Promise<void>;
}

/**
 * A NATS server and the projector's database, with stand-ins at its borders: the gateway's list and an
 * owner's outbox.
 */
export class RunningProjector {
  readonly nats: RunningNats;
  readonly connection: NatsConnection;
  readonly test: TestDatabase;
  readonly ownerDb: TestDatabase;
  registrations: readonly RegisteredEntityType[] = REGISTRATIONS;
  /** What the owner's snapshots show, by entity type. */
  readonly snapshots = new Map<string, SnapshotEntity[]>();
  /** Every page that was asked for. */
  readonly pages: { readonly entityType: string; readonly cursor: string | null }[] = [];
  readonly #stops: (() => Promise<unknown>)[] = [];
  #answersList = false;
  relay: OutboxRelay | undefined;

  private constructor(
    nats: RunningNats,
    connection: NatsConnection,
    test: TestDatabase,
    ownerDb: TestDatabase,
  ) {
    this.nats = nats;
    this.connection = connection;
    this.test = test;
    this.ownerDb = ownerDb;
  }

  static async open(): Promise<RunningProjector> {
    const postgres = await startPostgres();
    const [nats, test, ownerDb] = await Promise.all([
      startNats({ own: true }),
      createTestDatabase({ postgres, name: 'projector', migrations: MIGRATIONS, functions: FUNCTIONS }),
      createTestDatabase({ postgres, name: 'owner', migrations: messagingMigrations }),
    ]);
    const connection = await connectNats({ url: nats.url, name: 'test' });
    const running = new RunningProjector(nats, connection, test, ownerDb);
    running.#stops.push(
      () => nats.stop(),
      () => Promise.all([test.drop(), ownerDb.drop()]),
      () => connection.close(),
    );
    return running;
  }

  async close(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
  }

  onClose(stop: () => Promise<unknown>): void {
    this.#stops.push(stop);
  }

  async startWorker(env: Readonly<Record<string, string>> = {}): Promise<Worker> {
    // The stand-ins' subscriptions must have reached the server before a worker asks.
    await this.connection.flush();
    const level = process.env['PROJECTOR_LOG'] ?? 'silent';
    const urls = { NATS_URL: this.nats.url, DATABASE_URL: this.test.appUrl, LOG_LEVEL: level };
    const foundation = await wireFoundation(readProjectorConfig({ ...urls, ...env }));
    const projector = wireProjector(foundation);
    const operations = wireOperations(foundation, projector);
    foundation.relay.start();
    await projector.start();
    await operations.start();
    let stopping: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      await operations.stop();
      await projector.stop();
      await foundation.relay.stop();
      await foundation.nats.drain();
      await foundation.database.close();
    };
    const worker = { foundation, projector, operations, stop: () => (stopping ??= stop()) };
    this.onClose(() => worker.stop());
    // An event of a type that it does not know is set aside and tried again after 30 s. On a busy machine the
    // list may come later than the first events.
    const isListed = (): boolean => projector.registry.all().length >= this.registrations.length;
    if (this.#answersList) await this.until('the registrations are listed', isListed);
    return worker;
  }

  /** Answers `registryList` with `registrations`, as the gateway does. */
  answerList(): Responder {
    this.#answersList = true;
    const responder = this.#respond(subjects.registryList, async () => ({
      registrations: [...Map.groupBy(this.registrations, ({ service }) => service)].map(
        ([service, types]) => ({
          service,
          entityTypes: types.map(({ service: _service, ...type }) => type),
        }),
      ),
    }));
    return responder;
  }

  /** Answers the snapshots of the learning service's types, `pageSize` entities a page. */
  answerSnapshots(
    pageSize: number,
    entityTypes: readonly string[] = this.registrations.map((type) => type.entityType),
  ): void {
    for (const entityType of entityTypes) {
      this.#respond(subjects.snapshot('learning', entityType), async (body) => {
        const { cursor } = body as SnapshotRequest;
        this.pages.push({ entityType, cursor });
        const all = this.snapshots.get(entityType) ?? [];
        const from = cursor === null ? 0 : Number(cursor);
        const next = from + pageSize < all.length ? String(from + pageSize) : null;
        return { entities: all.slice(from, from + pageSize), next } satisfies SnapshotPage;
      });
    }
  }

  #respond(subject: string, handle: (body: unknown) => Promise<unknown>): Responder {
    const logger = createLogger({ service: 'test', level: 'silent' });
    const responder = new Responder({ nats: this.connection, subject, queue: 'test', logger, handle });
    this.onClose(() => responder.stop());
    return responder;
  }

  /** The owner commits events, one message per partition, as the owner SDK does. */
  async publish(...events: readonly DomainEvent[]): Promise<void> {
    if (this.relay === undefined) {
      const logger = createLogger({ service: 'test', level: 'silent' });
      const { connection: nats, ownerDb } = this;
      const streams = [STREAMS.DOMAIN_EVENTS];
      const relay = new OutboxRelay({
        database: ownerDb.database,
        nats,
        producer: 'learning',
        streams,
        logger,
      });
      this.relay = relay;
      relay.start();
      this.onClose(() => relay.stop());
    }
    const { name, partitions } = STREAMS.DOMAIN_EVENTS;
    const groups = Map.groupBy(events, ({ tenantid, entitytype, entityid }) =>
      partitionOf(`${tenantid}\0${entitytype}\0${entityid}`, partitions),
    );
    const rows = [...groups].map(([partition, group]) => ({
      stream: name,
      partition,
      payload: JSON.stringify(group),
    }));
    await this.ownerDb.database.transaction((tx) => appendToOutbox(tx, rows));
    this.relay.kick();
  }

  /** Revisions of live heads by entity id. */
  async revisions(entityType: string, tenant = 't1'): Promise<Record<string, number>> {
    const rows = await this.test.database.inTenant(tenant, (tx) =>
      tx.query<{ entity_id: string; revision: number }>(
        `SELECT entity_id, revision::int4 AS revision FROM entity_head WHERE entity_type = $1 AND NOT deleted ORDER BY 1`,
        [entityType],
      ),
    );
    return Object.fromEntries(rows.map((row) => [row.entity_id, row.revision]));
  }

  /** All deltas in the outbox of the projector, in order. */
  async deltas(): Promise<
    {
      scope: string;
      sequence: string;
      entityId: string;
      deleted: boolean;
      revision: number;
      clock: Record<string, number>;
    }[]
  > {
    const rows = await this.test.database.call<{ payload: string }>(
      'deltas',
      `SELECT payload FROM sync_outbox WHERE stream = 'DELTAS' ORDER BY id`,
      [],
    );
    return rows.flatMap(({ payload }) => (parseDeltaBatch(payload) as DeltaBatch).deltas);
  }

  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`Never came true: ${what}`);
      await sleep(20);
    }
  }
}

/** A snapshot's row of an entity of the learning service. */
export function snapshotEntity(
  entityId: string,
  revision: number,
  data: Record<string, unknown> | null,
  more: Partial<SnapshotEntity> = {},
): SnapshotEntity {
  return {
    tenantId: 't1',
    entityId,
    revision,
    clock: { 's:learning': revision },
    data,
    deleted: data === null,
    changedAt: '2026-02-01T00:00:00.000Z',
    ...more,
  };
}
