import type { NatsConnection } from '@nats-io/transport-node';
import type { Database, Tx } from '@sync/postgres';
import type { StreamDeclaration } from '@sync/protocol';
import type { MessagingLogger, MessagingMetrics, PartitionToken } from './ports.ts';

/** One message as handed over: `payload` is what the producer appended to its outbox, untouched. */
export interface BatchMessage {
  /** Null for a plain message of a foreign producer. */
  readonly number: number | null;
  readonly payload: string;
  /** Empty for a replayed message. */
  readonly subject: string;
  /** Headers of a plain message (CloudEvents in binary mode carry their attributes there). */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Waiting messages of one producer in one partition, in order. */
export interface Batch {
  readonly stream: string;
  readonly partition: PartitionToken;
  readonly producer: string;
  /** Null for plain messages. */
  readonly epoch: string | null;
  readonly messages: readonly BatchMessage[];
}

/**
 * Applies what waits in all partitions of this process inside the transaction that also holds the checks of
 * the leases and the watermarks: a batch for each producer and partition, together at most 64 messages and
 * about 1 MiB. Order counts within a batch only.
 *
 * When it throws, everything rolls back. Several batches come again one by one, each in a transaction of its
 * own; a batch that fails alone comes again (perhaps longer) after a pause, for ever: setting poison aside is
 * the handler's job. A plain batch may come twice (its transaction committed, its acknowledgement got lost):
 * deduplicate it by content.
 */
export type BatchHandler<Result = unknown> = (tx: Tx, batches: readonly Batch[]) => Promise<Result>;

/**
 * Messages before `oldest` are gone for good: rebuild what depends on them, then consuming goes on at
 * `oldest`.
 */
export interface Pruned {
  readonly stream: string;
  readonly producer: string;
  readonly partition: number;
  readonly epoch: string;
  readonly oldest: number;
}

/** What all parts of a partitioned consumer work with. */
export interface ConsumerContext {
  readonly database: Pick<Database, 'call' | 'transaction'>;
  readonly nats: NatsConnection;
  readonly stream: StreamDeclaration;
  readonly consumer: string;
  readonly logger: MessagingLogger;
  readonly metrics: MessagingMetrics;
  /** @returns what is to be called after the commit, before anything is acknowledged */
  readonly handle: (tx: Tx, batches: readonly Batch[]) => Promise<() => void>;
  readonly onPruned: (pruned: Pruned) => Promise<void>;
  /** How long a message waits for company. */
  readonly lingerMs: number | ((payload: string) => number);
  /** The batch's tenants as one value of `app.tenant`. */
  readonly tenantsOf: ((batch: Batch) => string) | undefined;
}
