import type { Msg, Subscription } from '@nats-io/transport-node';
import { subjects } from '@sync/protocol';
import type { Batch, BatchHandler, ConsumerContext } from './consumer-context.ts';
import { ConsumerLoop } from './consumer-loop.ts';
import { ConsumerPartition } from './consumer-partition.ts';
import { LeaseKeeper, type Lease } from './lease.ts';
import { noMetrics, type MessagingMetrics, type PartitionToken } from './ports.ts';
import { tenantList } from './set-tenants.ts';

export interface ConsumerOptions<Result = unknown> extends Omit<
  ConsumerContext,
  'metrics' | 'handle' | 'tenantsOf' | 'lingerMs'
> {
  readonly metrics?: MessagingMetrics;
  readonly handle: BatchHandler<Result>;
  /**
   * Called with what `handle` has answered after its transaction committed, before anything is acknowledged;
   * `relay.kick()` belongs here. Must not throw.
   */
  readonly afterCommit?: (result: Result) => void;
  /**
   * Tenants whose rows a batch touches; those of all batches are set in the transaction before `handle`,
   * without a further round trip.
   */
  readonly tenantsOf?: (batch: Batch) => Iterable<string>;
  /**
   * How long a message waits for company, default 0. For consumers whom nobody waits for: the cost of
   * consuming is per transaction, and this divides it. The wait ends early when what waits in all partitions
   * fills a transaction, when a partition can take in no more, and when another message has waited long
   * enough: so it never limits how much is consumed. As a function it says that of each message, and must not
   * throw.
   */
  readonly lingerMs?: number | ((payload: string) => number);
  /** Also consume the events of foreign producers (`<prefix>.plain.>`), which have no numbers. */
  readonly plain?: boolean;
}

/**
 * Consumes a stream exactly once per database: partitions are shared out by lease over all processes that run
 * the same consumer on the same database. Whatever waits in the partitions of one process is handled in one
 * transaction, together with the watermarks.
 *
 * Stopping or killing a process moves its partitions to the others.
 */
export class PartitionedConsumer<Result = unknown> {
  readonly #context: ConsumerContext;
  readonly #keeper: LeaseKeeper;
  readonly #loop: ConsumerLoop;
  readonly #tokens = new Map<string, PartitionToken>();
  readonly #partitions = new Map<string, ConsumerPartition>();
  #heads: Subscription | undefined;

  constructor(options: ConsumerOptions<Result>) {
    const { consumer, stream, handle, afterCommit, tenantsOf, plain = false } = options;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(consumer))
      throw new RangeError(`Consumer name ${consumer} is not allowed`);
    const metrics = options.metrics ?? noMetrics;
    this.#context = {
      ...options,
      metrics,
      lingerMs: options.lingerMs ?? 0,
      handle: async (tx, batches) => {
        const result = await handle(tx, batches);
        return () => afterCommit?.(result);
      },
      tenantsOf: tenantsOf === undefined ? undefined : (batch) => tenantList(tenantsOf(batch)),
    };
    this.#loop = new ConsumerLoop(this.#context);
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      this.#tokens.set(this.#leaseName(partition), partition);
    }
    if (plain) this.#tokens.set(this.#leaseName('plain'), 'plain');
    this.#keeper = new LeaseKeeper({
      database: options.database,
      group: `consume:${consumer}:${stream.name}`,
      names: [...this.#tokens.keys()],
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
    this.#loop.start();
    this.#keeper.start();
  }

  /** Finishes the batches in hand and hands the partitions over. */
  async stop(): Promise<void> {
    if (this.#heads?.isClosed() === false) this.#heads.unsubscribe();
    await this.#keeper.stop();
    await this.#loop.stop();
  }

  /** Partitions this process holds now. */
  partitions(): PartitionToken[] {
    return this.#keeper.held().flatMap(({ name }) => this.#tokens.get(name) ?? []);
  }

  async #open(lease: Lease): Promise<void> {
    const token = this.#tokens.get(lease.name);
    if (token === undefined) return;
    const partition = new ConsumerPartition(this.#context, token, lease, () => this.#loop.wake());
    this.#partitions.set(lease.name, partition);
    await partition.start();
    this.#loop.add(partition);
  }

  async #close(lease: Lease): Promise<void> {
    const partition = this.#partitions.get(lease.name);
    if (partition === undefined) return;
    this.#partitions.delete(lease.name);
    this.#loop.remove(partition);
    await partition.stop();
  }

  /** `sync.head.v1.<stream>.<partition>.<producer>` with `{epoch, number}`; anything else is ignored. */
  #noteHead(message: Msg): void {
    const [token, producer] = message.subject.split('.').slice(-2);
    const partition = this.#partitions.get(this.#leaseName(Number(token)));
    if (partition === undefined || producer === undefined) return;
    try {
      const { epoch, number } = message.json<{ epoch?: unknown; number?: unknown }>();
      if (typeof epoch !== 'string' || epoch === '' || !Number.isSafeInteger(number)) return;
      partition.noteHead(producer, epoch, Number(number));
    } catch (error) {
      this.#context.logger.warn({ err: error, subject: message.subject }, 'head announcement cannot be read');
    }
  }

  #leaseName(partition: PartitionToken): string {
    return `consume:${this.#context.consumer}:${this.#context.stream.name}:${partition}`;
  }
}
