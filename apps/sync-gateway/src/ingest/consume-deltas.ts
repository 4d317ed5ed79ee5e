import { type Batch, PartitionedConsumer, type Pruned } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { STREAMS } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import type { GatewayNews, News } from '../heads/gateway-news.ts';
import type { IngestMetrics } from './ingest-metrics.ts';

export interface ConsumeOptions {
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly news: GatewayNews;
  readonly metrics: IngestMetrics;
  readonly logger: Logger;
}

interface ChangeRow {
  readonly kind: 'scope' | 'user' | 'number' | 'lag';
  readonly tenant_id: string | null;
  readonly name: string;
}

const INGEST_TEXT = 'SELECT * FROM ingest_deltas($1, $2)';

/**
 * Brings DELTAS into the read model. Payloads go to Postgres as the text they came as: what devices get is byte for byte what the projector
 * wrote, and Node never parses a delta.
 */
export class ConsumeDeltas {
  readonly #options: ConsumeOptions;
  readonly #consumer: PartitionedConsumer;
  readonly #changes = new WeakMap<Batch, News>();

  constructor(options: ConsumeOptions) {
    const { database, nats, logger } = options;
    this.#options = options;
    this.#consumer = new PartitionedConsumer({
      database,
      nats,
      stream: STREAMS.DELTAS,
      consumer: 'sync-gateway',
      logger,
      handle: (tx, batch) => this.#ingest(tx, batch),
      afterCommit: (batch) => this.#announce(batch),
      onPruned: (pruned) => this.#reportLoss(pruned),
    });
  }

  start(): void {
    this.#consumer.start();
  }

  async stop(): Promise<void> {
    await this.#consumer.stop();
  }

  async #ingest(tx: Tx, batch: Batch): Promise<void> {
    const partition = Number(batch.partition);
    const payloads = `[${batch.messages.map(({ payload }) => payload).join(',')}]`;
    const rows = await tx.call<ChangeRow>('ingest_deltas', INGEST_TEXT, [partition, payloads]);
    this.#changes.set(batch, newsOf(rows, partition));
    const lagMs = rows.find(({ kind }) => kind === 'lag')?.name;
    this.#options.metrics.ingested(batch.messages.length, lagMs === undefined ? null : Number(lagMs));
  }

  #announce(batch: Batch): void {
    const changes = this.#changes.get(batch);
    if (changes) this.#options.news.announce(changes);
  }

  /**
   * The projector no longer has messages we never saw. It rebuilds what they held under new epochs when it is told to; until then
   * the read model serves what it has, and this log line is the alert.
   */
  async #reportLoss(pruned: Pruned): Promise<void> {
    this.#options.metrics.lost();
    this.#options.logger.error(
      { event: 'deltas_lost', ...pruned },
      'deltas were pruned before they were read: rebuild the read model from the projector',
    );
  }
}

function newsOf(rows: readonly ChangeRow[], partition: number): News {
  const scopes = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'scope' && tenantId !== null ? [{ tenantId, scope: name }] : [],
  );
  const users = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'user' && tenantId !== null ? [{ tenantId, userId: name }] : [],
  );
  const number = rows.find(({ kind }) => kind === 'number')?.name;
  return number === undefined ? { scopes, users } : { scopes, users, ingest: { partition, number } };
}
