import type { NatsConnection } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import { subjects } from '@sync/protocol';
import type { ConnectionWatch } from './connection-watch.ts';
import { IdlePause } from './pacing.ts';
import type { MessagingLogger } from './ports.ts';
import type { RelayPartition } from './relay-partition.ts';
import { pruneRows } from './relay-store.ts';
import { Pruning, RepeatedWork } from './repeated-work.ts';

export interface UpkeepOptions {
  readonly database: Pick<Database, 'call'>;
  readonly nats: NatsConnection;
  readonly connection: ConnectionWatch;
  readonly producer: string;
  readonly logger: MessagingLogger;
  readonly retentionMs: number;
  readonly announceMs: number;
  readonly pruneMs: number;
  /** The partitions held at the moment of asking. */
  readonly partitions: () => Iterable<RelayPartition>;
}

const PRUNE_ROWS = 1_000;
/**
 * What has not changed is announced, and looked through for old rows, so many times less often in the end: by
 * default every 10 s and every 10 minutes.
 */
const IDLE_ROUNDS = 10;

/** What a relay does beside publishing: announces its heads and deletes what is past retention. */
export class RelayUpkeep {
  readonly #options: UpkeepOptions;
  readonly #announcePause: IdlePause;
  readonly #announcing: RepeatedWork;
  readonly #pruning: Pruning;

  constructor(options: UpkeepOptions) {
    const { announceMs, pruneMs, logger } = options;
    this.#options = options;
    this.#announcePause = new IdlePause({ busyMs: announceMs, idleMs: IDLE_ROUNDS * announceMs });
    this.#announcing = new RepeatedWork(() => this.#announce(), announceMs);
    this.#pruning = new Pruning((pruning) => this.#prune(pruning), {
      ...{ everyMs: pruneMs, firstWithinMs: pruneMs, idleRounds: IDLE_ROUNDS, logger },
      failure: 'could not prune the outbox',
    });
    this.#announcing.start();
    this.#pruning.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#announcing.stop(), this.#pruning.stop()]);
  }

  /**
   * Heads have moved, or their consumers may have lost something: they are announced twice within two
   * intervals, after which a consumer that misses the end has asked for it.
   */
  announceSoon(): void {
    this.#announcePause.reset();
    this.#announcing.within(this.#options.announceMs);
  }

  /** Tells every consumer how far this producer is, so that a lost tail heals without new traffic. */
  async #announce(): Promise<number> {
    const { nats, connection, producer, partitions } = this.#options;
    if (connection.connected && !nats.isClosed()) {
      for (const { stream, partition, epoch, head } of partitions()) {
        nats.publish(
          subjects.relayHead(stream.name, partition, producer),
          JSON.stringify({ epoch, number: head }),
        );
      }
    }
    return this.#announcePause.after(false);
  }

  async #prune(pruning: Pruning): Promise<void> {
    const { database, retentionMs, partitions } = this.#options;
    for (const { stream, partition } of [...partitions()]) {
      const place = { stream: stream.name, partition };
      await pruning.inBatches(PRUNE_ROWS, (rows) => pruneRows(database, place, { retentionMs, rows }));
    }
  }
}
