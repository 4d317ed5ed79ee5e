import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';
import { backoffMs } from '@sync/domain';
import type { StreamDeclaration } from '@sync/protocol';
import type { ConnectionWatch } from './connection-watch.ts';
import type { Lease } from './lease.ts';
import type { RelayPlace } from './relay-head.ts';
import type { NumberedRow, OutboxHead, TakeRequest } from './relay-store.ts';
import { encodeNumber, messageId, messageSubject } from './wire.ts';

const MAX_IN_FLIGHT = 64;
const PUBLISH_TIMEOUT_MS = 5_000;
const PUBLISH_BACKOFF = { baseMs: 50, capMs: 5_000 } as const;

/** What a partition needs to publish. */
export interface PublishContext {
  readonly jetstream: JetStreamClient;
  readonly connection: ConnectionWatch;
  readonly producer: string;
}

/**
 * One leased partition of the outbox: its position in memory and its publishing. A failure is local to it, so
 * a missing or full stream never holds back another one.
 */
export class RelayPartition {
  readonly stream: StreamDeclaration;
  readonly partition: number;
  readonly lease: Lease;
  readonly epoch: string;
  /** Last number given. */
  head: number;
  /** Last number confirmed by JetStream, with everything before it. */
  published: number;
  #dueAt = 0;
  #attempts = 0;
  #retryAt = 0;
  #refusedSinceMs: number | undefined;
  #refusal = '';
  #publishing: Promise<void> | undefined;

  constructor({ stream, partition }: RelayPlace, lease: Lease, head: OutboxHead) {
    this.stream = stream;
    this.partition = partition;
    this.lease = lease;
    this.epoch = head.epoch;
    this.head = head.number;
    this.published = head.published;
  }

  get busy(): boolean {
    return this.#publishing !== undefined;
  }

  /** From when on its rows are to be taken; Infinity while it publishes, and while nobody has asked. */
  get readyAt(): number {
    return this.busy ? Infinity : Math.max(this.#dueAt, this.#retryAt);
  }

  /** Rows were committed, perhaps of this partition. */
  ask(now: number): void {
    this.#dueAt = Math.min(this.#dueAt, now + (this.stream.gatherMs ?? 0));
  }

  /** Rows may wait of which nobody has said anything, or are known to. */
  askNow(): void {
    this.#dueAt = 0;
  }

  /**
   * What JetStream says, when for so long it has not stored what it was sent; a connection that is away does
   * not count.
   */
  refusedFor(ms: number, now: number): string | undefined {
    const since = this.#refusedSinceMs;
    return since !== undefined && now - since >= ms ? this.#refusal : undefined;
  }

  /** After a reconnect, waiting any longer has no use. */
  retryNow(): void {
    this.#retryAt = 0;
  }

  /** Begins to take: whoever asks from now on may have committed too late for it. */
  takeRequest(): TakeRequest {
    this.#dueAt = Infinity;
    const { stream, partition, published, lease } = this;
    return {
      stream: stream.name,
      partition,
      after: published,
      lease,
      gathers: stream.gatherMs !== undefined,
    };
  }

  /** Resolves when nothing is in flight any more. */
  async settled(): Promise<void> {
    await this.#publishing;
  }

  /**
   * Publishes numbered rows in order and advances {@link published} over what JetStream confirmed without a
   * hole. Resolves to the error that stopped it, if any; the next attempt is then due after a pause.
   */
  publish(rows: readonly NumberedRow[], context: PublishContext): Promise<unknown> {
    const work = this.#publishAll(rows, context);
    this.#publishing = work.then(() => {
      this.#publishing = undefined;
    });
    return work;
  }

  async #publishAll(rows: readonly NumberedRow[], context: PublishContext): Promise<unknown> {
    const last = rows.at(-1);
    this.head = last?.head ?? this.head;
    if (last?.more === true) this.askNow();
    for (let start = 0; start < rows.length; start += MAX_IN_FLIGHT) {
      const failure = await this.#publishWindow(rows.slice(start, start + MAX_IN_FLIGHT), context);
      if (failure !== undefined) {
        this.#noteRefusal(failure);
        this.#attempts += 1;
        this.#retryAt = performance.now() + backoffMs(this.#attempts, PUBLISH_BACKOFF, Math.random());
        this.askNow();
        return failure;
      }
    }
    if (this.head > this.published) this.askNow();
    this.#attempts = 0;
    this.#refusedSinceMs = undefined;
    return undefined;
  }

  #noteRefusal(failure: unknown): void {
    const refused = failure instanceof JetStreamApiError || failure instanceof errors.TimeoutError;
    if (!refused) return;
    this.#refusedSinceMs ??= performance.now();
    this.#refusal = failure.message;
  }

  /** @returns the first error, after everything in flight has been answered */
  async #publishWindow(rows: readonly NumberedRow[], context: PublishContext): Promise<unknown> {
    const { connection } = context;
    const results = await Promise.allSettled(
      rows.map((row) => connection.untilDisconnect(this.#publishRow(row, context))),
    );
    for (const [at, result] of results.entries()) {
      if (result.status === 'rejected') return (result.reason as unknown) ?? new Error('Publishing failed');
      this.published = rows[at]?.number ?? this.published;
    }
    return undefined;
  }

  async #publishRow(row: NumberedRow, { jetstream, producer }: PublishContext): Promise<void> {
    const number = { producer, epoch: this.epoch, number: row.number };
    await jetstream.publish(messageSubject(this.stream, this.partition, producer), row.payload, {
      msgID: messageId(this.stream.name, this.partition, number),
      headers: encodeNumber(number),
      timeout: PUBLISH_TIMEOUT_MS,
      expect: { streamName: this.stream.name },
    });
  }
}
