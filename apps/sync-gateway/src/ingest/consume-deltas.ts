import {
  type Batch,
  type MessagingMetrics,
  PartitionedConsumer,
  type Pruned,
  request,
} from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { STREAMS, subjects } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import type { GatewayNews, News } from '../heads/gateway-news.ts';
import type { DocumentAddress } from '../compaction/compaction-store.ts';
import type { IngestMetrics } from './ingest-metrics.ts';
import { type IngestedChange, ingestDeltas } from './ingest-store.ts';

export interface ConsumeOptions {
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly news: GatewayNews;
  readonly metrics: IngestMetrics & { readonly hop: MessagingMetrics };
  /** Called after the commit with each document that has so many increments that it ought to be compacted. */
  readonly onDue: (address: DocumentAddress) => void;
  readonly logger: Logger;
}

const REBUILD_LIMIT_MS = 60_000;
/** Gaps of other partitions that come to light this soon were there before the rebuild. */
const REBUILD_COVERS_MS = 60_000;

/**
 * Brings DELTAS into the read model. Payloads go to Postgres as the text they came as: what devices get is
 * byte for byte what the projector wrote, and Node never parses a delta.
 */
export class ConsumeDeltas {
  readonly #options: ConsumeOptions;
  readonly #consumer: PartitionedConsumer;
  readonly #changes = new WeakMap<Batch, News>();
  readonly #due = new WeakMap<Batch, readonly DocumentAddress[]>();
  #rebuilding: Promise<void> | undefined;

  constructor(options: ConsumeOptions) {
    const { database, nats, logger } = options;
    this.#options = options;
    this.#consumer = new PartitionedConsumer({
      database,
      nats,
      stream: STREAMS.DELTAS,
      consumer: 'sync-gateway',
      logger,
      metrics: options.metrics.hop,
      handle: (tx, batch) => this.#ingest(tx, batch),
      afterCommit: (batch) => this.#announce(batch),
      onPruned: (pruned) => this.#rebuild(pruned),
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
    const payloads = batch.messages.map(({ payload }) => payload);
    const rows = await ingestDeltas(tx, partition, payloads);
    this.#changes.set(batch, newsOf(rows, partition));
    const due = dueOf(rows);
    if (due.length > 0) this.#due.set(batch, due);
    const lagMs = rows.find(({ kind }) => kind === 'lag')?.name;
    this.#options.metrics.ingested(batch.messages.length, lagMs === undefined ? null : Number(lagMs));
  }

  #announce(batch: Batch): void {
    const changes = this.#changes.get(batch);
    if (changes) this.#options.news.announce(changes);
    for (const address of this.#due.get(batch) ?? []) this.#options.onDue(address);
  }

  /**
   * The projector no longer has messages we never saw (a database restored from an old backup, an outage
   * longer than retention). It starts over under new epochs; what it writes then comes after the gap. One
   * rebuild covers all partitions.
   */
  async #rebuild(pruned: Pruned): Promise<void> {
    this.#options.metrics.lost();
    this.#options.logger.error(
      { event: 'deltas_lost', ...pruned },
      'deltas are gone for good: asking for a rebuild',
    );
    this.#rebuilding ??= request(
      this.#options.nats,
      subjects.projectorRebuild,
      {},
      { timeoutMs: REBUILD_LIMIT_MS },
    )
      .then(() => {
        setTimeout(() => (this.#rebuilding = undefined), REBUILD_COVERS_MS).unref();
      })
      .catch((error: unknown) => {
        this.#rebuilding = undefined;
        throw error;
      });
    await this.#rebuilding;
  }
}

function dueOf(rows: readonly IngestedChange[]): DocumentAddress[] {
  return rows.flatMap(({ kind, tenant_id: tenantId, name }) => {
    if (kind !== 'document' || tenantId === null) return [];
    return [{ tenantId, ...(JSON.parse(name) as Omit<DocumentAddress, 'tenantId'>) }];
  });
}

function newsOf(rows: readonly IngestedChange[], partition: number): News {
  const scopes = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'scope' && tenantId !== null ? [{ tenantId, scope: name }] : [],
  );
  const users = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'user' && tenantId !== null ? [{ tenantId, userId: name }] : [],
  );
  const number = rows.find(({ kind }) => kind === 'number')?.name;
  return number === undefined ? { scopes, users } : { scopes, users, ingest: { partition, number } };
}
