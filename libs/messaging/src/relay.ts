import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { backoffMs } from '@sync/domain';
import type { Database } from '@sync/postgres';
import { subjects, type StreamDeclaration } from '@sync/protocol';
import { watchConnection, type ConnectionWatch } from './connection-watch.ts';
import { faultPoint } from './fault-injection.ts';
import { LeaseKeeper, type Lease } from './lease.ts';
import { IdlePause, Wakeup } from './pacing.ts';
import { noMetrics, type MessagingLogger, type MessagingMetrics } from './ports.ts';
import { openVerifiedHead, type RelayPlace } from './relay-head.ts';
import { RelayPartition } from './relay-partition.ts';
import { confirmPublished, takeRows, type NumberedRow } from './relay-store.ts';
import { RelayUpkeep } from './relay-upkeep.ts';
import { ReplayResponder } from './replay-responder.ts';
import { NotStoringError, type Storing } from './store-probe.ts';
import { restoreStream } from './streams.ts';
import { assertProducer } from './wire.ts';

export interface RelayOptions {
  readonly database: Pick<Database, 'call'>;
  readonly nats: NatsConnection;
  /** Name of this service on the wire, one per database; one subject token. */
  readonly producer: string;
  readonly streams: readonly StreamDeclaration[];
  readonly logger: MessagingLogger;
  readonly metrics?: MessagingMetrics;
  /** How long rows are kept after they were published. Default 24 h. */
  readonly retentionMs?: number;
  /**
   * How often rows are looked for that nobody kicked for (their writer died after its commit), after some
   * were found; see {@link IDLE_POLLS}. Default 500 ms.
   */
  readonly pollMs?: number;
  readonly announceMs?: number;
  readonly pruneMs?: number;
}

/**
 * An idle relay looks so many times less often, by default every 4 s: less than the leases of whoever died
 * before its kick need to expire.
 */
const IDLE_POLLS = 8;
const PAGE = { rows: 256, bytes: 4_194_304 } as const;
/**
 * A confirmation is a transaction of its own: with 20 ms, nearly each published row had one under load.
 * Whoever dies before it makes the next relay publish so much again, which JetStream and consumers know by
 * the numbers.
 */
const CONFIRM_DELAY_MS = 250;
const NOTICE_MS = 5;
const STANDSTILL_MS = 10_000;
const DATABASE_BACKOFF = { baseMs: 100, capMs: 2_000 } as const;

/**
 * Brings committed outbox rows to JetStream, each at least once and in order per partition; consumers make it
 * exactly once by the numbers. Every process of a producer runs one; leases share the partitions out among
 * them.
 *
 * One loop takes rows of all idle partitions in one statement (numbers are durable before anything is
 * published), then each partition publishes on its own. Confirmation is written later and in bulk: losing it
 * means publishing again.
 */
export class OutboxRelay implements Storing {
  readonly #options: RelayOptions;
  readonly #metrics: MessagingMetrics;
  readonly #jetstream: JetStreamClient;
  readonly #connection: ConnectionWatch;
  readonly #keeper: LeaseKeeper;
  readonly #partitions = new Map<string, RelayPartition>();
  readonly #unconfirmed = new Set<RelayPartition>();
  readonly #wakeup = new Wakeup();
  readonly #pause: IdlePause;
  readonly #places = new Map<string, RelayPlace>();
  readonly #leases = new Map<string, Lease>();
  #confirming: Promise<void> | undefined;
  #upkeep: RelayUpkeep | undefined;
  #notice: NodeJS.Timeout | undefined;
  #noticeAgain = false;
  #responder: ReplayResponder | undefined;
  #kicks: Subscription | undefined;
  #forgetReconnects: () => void = () => undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: RelayOptions) {
    assertProducer(options.producer);
    this.#options = options;
    this.#metrics = options.metrics ?? noMetrics;
    this.#jetstream = jetstream(options.nats);
    this.#connection = watchConnection(options.nats);
    const { pollMs = 500 } = options;
    this.#pause = new IdlePause({ busyMs: pollMs, idleMs: IDLE_POLLS * pollMs });
    for (const stream of options.streams) {
      for (let partition = 0; partition < stream.partitions; partition += 1) {
        this.#places.set(`relay:${stream.name}:${partition}`, {
          stream,
          partition,
          producer: options.producer,
        });
      }
    }
    this.#keeper = new LeaseKeeper({
      database: options.database,
      group: 'relay',
      names: [...this.#places.keys()],
      logger: options.logger,
      metrics: this.#metrics,
      onAcquired: (lease) => this.#open(lease),
      onReleased: (lease) => this.#close(lease),
    });
  }

  /** Starts in the background; a missing database or NATS is retried and never thrown. */
  start(): void {
    if (this.#running !== undefined) return;
    const { nats, database, producer, logger } = this.#options;
    const { retentionMs = 86_400_000, announceMs = 1_000, pruneMs = 60_000 } = this.#options;
    this.#responder = new ReplayResponder(nats, database, producer, logger);
    this.#kicks = nats.subscribe(subjects.relayKick(producer), { callback: () => this.#wake() });
    this.#forgetReconnects = this.#connection.onReconnect(() => {
      for (const partition of this.#partitions.values()) partition.retryNow();
      this.#wake();
      // The server may have come back without its store, and nobody may be about to write.
      this.#upkeep?.announceSoon();
    });
    this.#upkeep = new RelayUpkeep({
      ...{ database, nats, producer, logger, retentionMs, announceMs, pruneMs },
      connection: this.#connection,
      partitions: () => this.#partitions.values(),
    });
    this.#keeper.start();
    this.#running = this.#run();
  }

  /**
   * Says that rows were committed; many calls count as one. Partitions that another replica holds are reached
   * through a notice on core NATS; it may be lost, then they are found by polling.
   */
  kick(): void {
    this.#wake();
    if (this.#partitions.size < this.#places.size) this.#notify();
  }

  /** Finishes what is in flight and gives the leases back. Rows that wait stay for the next relay. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#notice);
    await this.#upkeep?.stop();
    this.#forgetReconnects();
    if (this.#kicks?.isClosed() === false) this.#kicks.unsubscribe();
    await this.#responder?.stop();
    this.#wakeup.wake();
    await this.#running;
    await this.#keeper.stop();
  }

  /** Why rows have not reached JetStream for a while although it can be reached; for readiness. */
  standstill(): NotStoringError | undefined {
    const now = performance.now();
    for (const partition of this.#partitions.values()) {
      const refusal = partition.refusedFor(STANDSTILL_MS, now);
      if (refusal === undefined) continue;
      return new NotStoringError(`JetStream does not store ${partition.stream.name}: ${refusal}`);
    }
    return undefined;
  }

  #wake(): void {
    const now = performance.now();
    for (const partition of this.#partitions.values()) partition.ask(now);
    this.#wakeup.wake();
  }

  /** Wakes the other replicas, at most once per {@link NOTICE_MS}. */
  #notify(): void {
    if (this.#notice !== undefined) {
      this.#noticeAgain = true;
      return;
    }
    if (this.#stopped || !this.#connection.connected || this.#options.nats.isClosed()) return;
    this.#options.nats.publish(subjects.relayKick(this.#options.producer));
    this.#notice = setTimeout(() => {
      this.#notice = undefined;
      if (this.#noticeAgain) this.#notify();
      this.#noticeAgain = false;
    }, NOTICE_MS);
  }

  async #open(lease: Lease): Promise<void> {
    const place = this.#places.get(lease.name);
    if (place === undefined) return;
    const { database, nats, logger } = this.#options;
    this.#leases.set(lease.name, lease);
    // Until the lease is gone: without NATS nothing could be published under it anyway.
    for (let attempt = 1; this.#leases.get(lease.name) === lease; attempt += 1) {
      try {
        const head = await openVerifiedHead(database, nats, place, lease, logger);
        if (this.#leases.get(lease.name) !== lease) return;
        this.#partitions.set(lease.name, new RelayPartition(place, lease, head));
        this.#wakeup.wake();
        return;
      } catch (error) {
        logger.warn({ err: error, lease: lease.name, attempt }, 'could not open a partition of the outbox');
        await sleep(backoffMs(attempt, DATABASE_BACKOFF, Math.random()));
      }
    }
  }

  async #close(lease: Lease): Promise<void> {
    this.#leases.delete(lease.name);
    const partition = this.#partitions.get(lease.name);
    if (partition === undefined) return;
    this.#partitions.delete(lease.name);
    await partition.settled();
    await this.#confirm();
  }

  async #run(): Promise<void> {
    const { logger } = this.#options;
    let failures = 0;
    let lookAt = 0;
    while (!this.#stopped) {
      if (performance.now() >= lookAt) for (const partition of this.#partitions.values()) partition.askNow();
      let pauseMs: number;
      try {
        pauseMs = this.#pause.after(await this.#takeAndPublish());
        failures = 0;
      } catch (error) {
        failures += 1;
        pauseMs = backoffMs(failures, DATABASE_BACKOFF, Math.random());
        logger.warn({ err: error, failures }, 'relay could not read its outbox');
      }
      const now = performance.now();
      lookAt = now + pauseMs;
      // While nothing can be taken, what is due waits as well.
      const dueAt = failures > 0 || !this.#connection.connected ? lookAt : this.#readyAt();
      await this.#wakeup.sleep(Math.max(0, Math.min(lookAt, dueAt) - now));
    }
  }

  /** When the next partition is to be taken. */
  #readyAt(): number {
    return Math.min(Infinity, ...[...this.#partitions.values()].map(({ readyAt }) => readyAt));
  }

  /** @returns whether there was, or is still, something to publish */
  async #takeAndPublish(): Promise<boolean> {
    if (!this.#connection.connected) return false;
    const now = performance.now();
    const held = [...this.#partitions.values()];
    const ready = held.filter((partition) => partition.readyAt <= now);
    if (ready.length === 0) return held.length > 0;
    const requests = ready.map((partition) => partition.takeRequest());
    const rows = await takeRows(this.#options.database, requests, PAGE);
    const pages = Map.groupBy(rows, (row) => `relay:${row.stream}:${row.partition}`);
    for (const partition of ready) {
      const page = pages.get(partition.lease.name);
      // Compared by identity: the lease may have been lost and won anew while the statement ran.
      if (page === undefined || this.#partitions.get(partition.lease.name) !== partition) continue;
      void this.#publish(partition, page);
    }
    return held.some((partition) => partition.busy || partition.head > partition.published);
  }

  async #publish(partition: RelayPartition, rows: readonly NumberedRow[]): Promise<void> {
    const { stream } = partition;
    const before = partition.published;
    const failure = await partition.publish(rows, {
      jetstream: this.#jetstream,
      connection: this.#connection,
      producer: this.#options.producer,
    });
    this.#upkeep?.announceSoon();
    this.#metrics.relayPublished(stream.name, partition.partition, partition.published - before);
    this.#metrics.relayPending(stream.name, partition.partition, partition.head - partition.published);
    if (partition.published > before) {
      faultPoint('relay.published');
      this.#confirmSoon(partition);
    }
    // Only if more is known to wait the loop has something to do.
    if (partition.readyAt < Infinity) this.#wakeup.wake();
    if (failure !== undefined) await this.#recover(partition, failure);
  }

  async #recover({ stream, partition }: RelayPartition, failure: unknown): Promise<void> {
    const { logger, nats } = this.#options;
    logger.warn({ err: failure, stream: stream.name, partition }, 'could not publish, will try again');
    if (this.#stopped || !this.#connection.connected) return;
    await restoreStream(nats, stream).catch((error: unknown) => {
      logger.warn({ err: error, stream: stream.name }, 'could not restore the stream');
    });
  }

  #confirmSoon(partition: RelayPartition): void {
    this.#unconfirmed.add(partition);
    this.#confirming ??= new Promise<void>((resolve) => setTimeout(resolve, CONFIRM_DELAY_MS)).then(() => {
      this.#confirming = undefined;
      return this.#confirm();
    });
  }

  async #confirm(): Promise<void> {
    const partitions = [...this.#unconfirmed];
    if (partitions.length === 0) return;
    this.#unconfirmed.clear();
    try {
      await confirmPublished(
        this.#options.database,
        partitions.map(({ stream, partition, published, lease }) => ({
          stream: stream.name,
          partition,
          published,
          lease,
        })),
      );
    } catch (error) {
      // The position in memory goes on; the next confirmation covers this one.
      this.#options.logger.warn({ err: error }, 'could not store what was published');
    }
  }
}
