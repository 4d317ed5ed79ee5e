import type { NatsConnection } from '@nats-io/transport-node';
import type { Database, Tx } from '@sync/postgres';
import type { StreamDeclaration } from '@sync/protocol';
import type { Lease } from './lease.ts';
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

/** Waiting messages of one producer in one partition, in order: at most 64 and about 1 MiB. */
export interface Batch {
  readonly stream: string;
  readonly partition: PartitionToken;
  readonly producer: string;
  /** Null for plain messages. */
  readonly epoch: string | null;
  readonly messages: readonly BatchMessage[];
}

/**
 * Applies a batch inside the transaction that also holds the lease check and the watermark. When it throws,
 * everything rolls back and the same batch (perhaps longer) comes again after a pause, for ever: setting
 * poison aside is its job. A plain batch may come twice (its transaction committed, its acknowledgement got
 * lost): deduplicate it by content.
 */
export type BatchHandler = (tx: Tx, batch: Batch, lease: Lease) => Promise<void>;

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

/** What one worker of a partitioned consumer works with. */
export interface ConsumerContext {
  readonly database: Pick<Database, 'call' | 'transaction'>;
  readonly nats: NatsConnection;
  readonly stream: StreamDeclaration;
  readonly consumer: string;
  readonly logger: MessagingLogger;
  readonly metrics: MessagingMetrics;
  readonly handle: BatchHandler;
  readonly onPruned: (pruned: Pruned) => Promise<void>;
  /**
   * Called after a batch committed, before it is acknowledged; `relay.kick()` belongs here. Must not throw.
   */
  readonly afterCommit: ((batch: Batch) => void) | undefined;
  /** How long a batch that is not full waits for more messages. */
  readonly lingerMs: number;
  /** The batch's tenants as one value of `app.tenant`. */
  readonly tenantsOf: ((batch: Batch) => string) | undefined;
}
