import type { Msg, Subscription } from '@nats-io/transport-node';
import { subjects } from '@sync/protocol';
import type { Batch, ConsumerContext } from './consumer-context.ts';
import { LeaseKeeper, type Lease } from './lease.ts';
import { PartitionWorker } from './partition-worker.ts';
import { noMetrics, type MessagingMetrics, type PartitionToken } from './ports.ts';
import { tenantList } from './set-tenants.ts';

export interface ConsumerOptions extends Omit<
  ConsumerContext,
  'metrics' | 'tenantsOf' | 'afterCommit' | 'lingerMs'
> {
  readonly metrics?: MessagingMetrics;
  /**
   * Called after a batch committed, before it is acknowledged; `relay.kick()` belongs here. Must not throw.
   */
  readonly afterCommit?: (batch: Batch) => void;
  /**
   * Tenants whose rows the batch touches; set in the transaction before `handle`, without a further round
   * trip.
   */
  readonly tenantsOf?: (batch: Batch) => Iterable<string>;
  /**
   * How long a batch that is not full waits for more messages, default 0. For consumers whom nobody waits
   * for: the cost of consuming is per transaction, and this divides it.
   */
  readonly lingerMs?: number;
  /** Also consume the events of foreign producers (`<prefix>.plain.>`), which have no numbers. */
  readonly plain?: boolean;
}

/**
 * Consumes a stream exactly once per database: partitions are shared out by lease over all processes that run
 * the same consumer on the same database, and each batch commits together with its watermark.
 *
 * Stopping or killing a process moves its partitions to the others.
 */
export class PartitionedConsumer {
  readonly #context: ConsumerContext;
  readonly #keeper: LeaseKeeper;
  readonly #partitions = new Map<string, PartitionToken>();
  readonly #workers = new Map<string, PartitionWorker>();
  #heads: Subscription | undefined;

  constructor(options: ConsumerOptions) {
    const { consumer, stream, tenantsOf, lingerMs = 0, plain = false } = options;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(consumer))
      throw new RangeError(`Consumer name ${consumer} is not allowed`);
    const metrics = options.metrics ?? noMetrics;
    this.#context = {
      ...options,
      metrics,
      lingerMs,
      afterCommit: options.afterCommit,
      tenantsOf: tenantsOf === undefined ? undefined : (batch) => tenantList(tenantsOf(batch)),
    };
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      this.#partitions.set(this.#leaseName(partition), partition);
    }
    if (plain) this.#partitions.set(this.#leaseName('plain'), 'plain');
    this.#keeper = new LeaseKeeper({
      database: options.database,
      group: `consume:${consumer}:${stream.name}`,
      names: [...this.#partitions.keys()],
      logger: options.logger,
      metrics,
      onAcquired: (lease) => this.#open(lease),
      onReleased: (lease) => this.#close(lease),
    });
  }

  /** Starts in the background; a missing database or NATS is retried and never thrown. */
  start(): void {
    if (this.#heads !== undefined) return;
    const { nats, stream, logger } = this.#context;
    this.#heads = nats.subscribe(subjects.relayHeads(stream.name), {
      callback: (error, message) => {
        if (error === null) this.#noteHead(message);
        else logger.error({ err: error, stream: stream.name }, 'head subscription failed');
      },
    });
    this.#keeper.start();
  }

  /** Finishes the batches in hand and hands the partitions over. */
  async stop(): Promise<void> {
    if (this.#heads?.isClosed() === false) this.#heads.unsubscribe();
    await this.#keeper.stop();
  }

  /** Partitions this process holds now. */
  partitions(): PartitionToken[] {
    return this.#keeper.held().flatMap(({ name }) => this.#partitions.get(name) ?? []);
  }

  async #open(lease: Lease): Promise<void> {
    const partition = this.#partitions.get(lease.name);
    if (partition === undefined) return;
    const worker = new PartitionWorker(this.#context, partition, lease);
    this.#workers.set(lease.name, worker);
    await worker.start();
  }

  async #close(lease: Lease): Promise<void> {
    const worker = this.#workers.get(lease.name);
    this.#workers.delete(lease.name);
    await worker?.stop();
  }

  /** `sync.head.v1.<stream>.<partition>.<producer>` with `{epoch, number}`; anything else is ignored. */
  #noteHead(message: Msg): void {
    const [partition, producer] = message.subject.split('.').slice(-2);
    const worker = this.#workers.get(this.#leaseName(Number(partition)));
    if (worker === undefined || producer === undefined) return;
    try {
      const { epoch, number } = message.json<{ epoch?: unknown; number?: unknown }>();
      if (typeof epoch !== 'string' || epoch === '' || !Number.isSafeInteger(number)) return;
      worker.noteHead(producer, epoch, Number(number));
    } catch (error) {
      this.#context.logger.warn({ err: error, subject: message.subject }, 'head announcement cannot be read');
    }
  }

  #leaseName(partition: PartitionToken): string {
    return `consume:${this.#context.consumer}:${this.#context.stream.name}:${partition}`;
  }
}
