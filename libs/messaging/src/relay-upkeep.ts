import type { NatsConnection } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import { subjects } from '@sync/protocol';
import type { ConnectionWatch } from './connection-watch.ts';
import type { MessagingLogger } from './ports.ts';
import type { RelayPartition } from './relay-partition.ts';
import { pruneRows } from './relay-store.ts';

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

/** What a relay does beside publishing: announces its heads and deletes what is past retention. */
export class RelayUpkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[];
  #pruning: Promise<void> | undefined;
  #stopped = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#timers = [
      setInterval(() => this.#announce(), options.announceMs),
      setInterval(() => this.#prune(), options.pruneMs),
    ];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#pruning;
  }

  /** Tells every consumer how far this producer is, so that a lost tail heals without new traffic. */
  #announce(): void {
    const { nats, connection, producer, partitions } = this.#options;
    if (!connection.connected || nats.isClosed()) return;
    for (const { stream, partition, epoch, head } of partitions()) {
      nats.publish(
        subjects.relayHead(stream.name, partition, producer),
        JSON.stringify({ epoch, number: head }),
      );
    }
  }

  #prune(): void {
    this.#pruning ??= this.#pruneAll()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'could not prune the outbox');
      })
      .finally(() => {
        this.#pruning = undefined;
      });
  }

  async #pruneAll(): Promise<void> {
    const { database, retentionMs, partitions } = this.#options;
    for (const { stream, partition } of [...partitions()]) {
      const place = { stream: stream.name, partition };
      let deleted = PRUNE_ROWS;
      // Small deletes one after the other: locks stay short and vacuum keeps up.
      while (deleted === PRUNE_ROWS && !this.#stopped) {
        deleted = await pruneRows(database, place, { retentionMs, rows: PRUNE_ROWS });
      }
    }
  }
}
