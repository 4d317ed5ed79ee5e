import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  createTestDatabase,
  startPostgres,
  type RunningPostgres,
  type TestDatabase,
} from '@sync/postgres/testing';
import type { StreamDeclaration } from '@sync/protocol';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { connectNats } from '../connect-nats.ts';
import { messagingMigrations } from '../migration.ts';
import { appendToOutbox } from '../outbox.ts';
import { PartitionedConsumer, type ConsumerOptions } from '../partitioned-consumer.ts';
import type { MessagingLogger, MessagingMetrics } from '../ports.ts';
import { OutboxRelay, type RelayOptions } from '../relay.ts';
import { ensureStreams } from '../streams.ts';
import { startNats, type RunningNats, type StartNatsOptions } from './nats-server.ts';
import { recordEffects } from './record-effects.ts';

/** The effects of a consumer: one row per message handled, so that doubling and loss can be counted. */
class Effects1700000000001 implements MigrationInterface {
  readonly name = 'Effects1700000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE effect (id bigserial PRIMARY KEY, worker text NOT NULL,
      partition text NOT NULL,
      producer text NOT NULL, epoch text, number bigint, payload text NOT NULL)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE effect');
  }
}

export interface Effect {
  readonly worker: string;
  readonly partition: string;
  readonly producer: string;
  readonly number: number | null;
  readonly payload: string;
}

/** Counts what the metrics saw, by name. */
export type Counts = Record<keyof MessagingMetrics, number>;

const WAIT_MS = 90_000;

/** Options of {@link HopRig.open}: `own…` are servers that the test may kill. */
interface RigOptions {
  readonly ownNats?: boolean;
  readonly natsOptions?: StartNatsOptions;
  readonly ownPostgres?: boolean;
  readonly partitions?: number;
  readonly gatherMs?: number;
}

/**
 * A producer and a consumer database, a NATS server and a stream of its own, and everything started on them.
 */
export class HopRig {
  readonly nats: RunningNats;
  readonly postgres: RunningPostgres;
  readonly producerDb: TestDatabase;
  readonly consumerDb: TestDatabase;
  readonly stream: StreamDeclaration;
  /** Of its own per rig: replay requests of parallel test files must not meet. */
  readonly producer: string;
  readonly logs: { readonly level: string; readonly message: string; readonly fields: object }[] = [];
  readonly counts: Counts = countsOf(() => 0);
  readonly logger: MessagingLogger;
  readonly metrics: MessagingMetrics;
  readonly #stops: (() => Promise<void>)[] = [];
  #written = 0;

  private constructor(
    parts: Pick<HopRig, 'nats' | 'postgres' | 'producerDb' | 'consumerDb'>,
    streamOptions: Pick<StreamDeclaration, 'partitions' | 'gatherMs'>,
  ) {
    this.nats = parts.nats;
    this.postgres = parts.postgres;
    this.producerDb = parts.producerDb;
    this.consumerDb = parts.consumerDb;
    const name = `T${randomBytes(5).toString('hex')}`;
    this.producer = `learning-${name}`;
    this.stream = {
      name,
      subjectPrefix: name.toLowerCase(),
      ...streamOptions,
      maxAgeHours: 1,
      maxBytes: 268_435_456,
      duplicateWindowMs: 120_000,
      owner: 'test',
      consumers: ['test'],
    };
    const log = (level: string) => (fields: object, message: string) => {
      if (process.env['HOP_LOG'] !== undefined)
        process.stderr.write(`${level} ${message} ${JSON.stringify(fields, errorsAsText)}\n`);
      this.logs.push({ level, message, fields });
    };
    this.logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
    this.metrics = countsOf((name) => (...values: unknown[]) => {
      const last = values.at(-1);
      this.counts[name] += typeof last === 'number' ? last : 1;
    });
  }

  static async open({
    ownNats = false,
    ownPostgres = false,
    partitions = 2,
    gatherMs,
    natsOptions = {},
  }: RigOptions = {}): Promise<HopRig> {
    const postgres = await startPostgres({ own: ownPostgres, durable: ownPostgres });
    const migrations = [...messagingMigrations, Effects1700000000001];
    const nats = await startNats({ ...natsOptions, own: ownNats });
    const producerDb = await createTestDatabase({ postgres, name: 'producer', migrations });
    const consumerDb = await createTestDatabase({ postgres, name: 'consumer', migrations });
    const rig = new HopRig(
      { nats, postgres, producerDb, consumerDb },
      { partitions, ...(gatherMs !== undefined && { gatherMs }) },
    );
    rig.#stops.push(async () => {
      await producerDb.drop();
      await consumerDb.drop();
      if (ownNats) await nats.stop();
      if (ownPostgres) await postgres.stop();
    });
    await rig.connectApp('test');
    return rig;
  }

  async jetstreamManager(): Promise<JetStreamManager> {
    return jetstreamManager(await this.connect());
  }

  async connect(name = 'test'): Promise<NatsConnection> {
    const connection = await connectNats({ url: this.nats.url, name, logger: this.logger });
    this.onClose(() => connection.close());
    return connection;
  }

  /** As an app of the platform: it may create streams, and does so when they are lost. */
  async connectApp(name: string): Promise<NatsConnection> {
    const connection = await this.connect(name);
    await ensureStreams(connection, [this.stream]);
    return connection;
  }

  /** Runs before everything that was opened earlier is closed. */
  onClose(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async close(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
  }

  async startRelay(options: Partial<RelayOptions> = {}): Promise<OutboxRelay> {
    const relay = new OutboxRelay({
      database: this.producerDb.database,
      nats: options.nats ?? (await this.connectApp('relay')),
      producer: this.producer,
      streams: [this.stream],
      logger: this.logger,
      metrics: this.metrics,
      ...options,
    });
    relay.start();
    this.onClose(() => relay.stop());
    return relay;
  }

  async startConsumer(
    options: Partial<ConsumerOptions> & { readonly worker?: string } = {},
  ): Promise<PartitionedConsumer> {
    const { worker = 'w', ...given } = options;
    const consumer = new PartitionedConsumer({
      database: this.consumerDb.database,
      nats: options.nats ?? (await this.connectApp('consumer')),
      stream: this.stream,
      consumer: 'test',
      logger: this.logger,
      metrics: this.metrics,
      handle: recordEffects(worker),
      onPruned: async () => undefined,
      ...given,
    });
    consumer.start();
    this.onClose(() => consumer.stop());
    return consumer;
  }

  /** Commits `count` messages, round robin over the partitions, `perTransaction` at a time. */
  async write(count: number, perTransaction = 50): Promise<void> {
    for (let start = 0; start < count; start += perTransaction) {
      const rows = Array.from({ length: Math.min(perTransaction, count - start) }, () => {
        this.#written += 1;
        const partition = this.#written % this.stream.partitions;
        return { stream: this.stream.name, partition, payload: JSON.stringify({ n: this.#written }) };
      });
      await this.producerDb.database.transaction((tx) => appendToOutbox(tx, rows));
    }
  }

  async effects(): Promise<Effect[]> {
    const rows = await this.consumerDb.database.call<Effect>(
      'effects',
      'SELECT worker, partition, producer, number::int4, payload FROM effect ORDER BY id',
      [],
    );
    return rows;
  }

  /** What a correct hop must have produced: every written payload once, per partition in order. */
  expectedPayloads(): Record<string, string[]> {
    const byPartition: Record<string, string[]> = {};
    for (let n = 1; n <= this.#written; n += 1) {
      (byPartition[String(n % this.stream.partitions)] ??= []).push(JSON.stringify({ n }));
    }
    return byPartition;
  }

  async payloads(): Promise<Record<string, string[]>> {
    const byPartition: Record<string, string[]> = {};
    for (const { partition, payload } of await this.effects()) (byPartition[partition] ??= []).push(payload);
    return byPartition;
  }

  async untilEffects(count: number): Promise<void> {
    await this.until(`${count} effects`, async () => (await this.effects()).length >= count);
  }

  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) {
        const tail = this.logs.slice(-20).map((entry) => JSON.stringify(entry, errorsAsText));
        throw new Error(`Never came true: ${what}\n${tail.join('\n')}`);
      }
      await sleep(20);
    }
  }
}

function countsOf<T>(make: (name: keyof MessagingMetrics) => T): Record<keyof MessagingMetrics, T> {
  return {
    relayPending: make('relayPending'),
    relayPublished: make('relayPublished'),
    consumerLag: make('consumerLag'),
    consumed: make('consumed'),
    duplicates: make('duplicates'),
    gap: make('gap'),
    replayed: make('replayed'),
    retried: make('retried'),
    leaseMoved: make('leaseMoved'),
  };
}

function errorsAsText(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.name}: ${value.message}` : value;
}
