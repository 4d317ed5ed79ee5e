import { readJson } from '@sync/domain';
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

/** What a transaction brought. */
interface Ingested {
  readonly messages: number;
  readonly changes: readonly IngestedChange[];
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
  readonly #consumer: PartitionedConsumer<Ingested>;
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
      handle: ingest,
      afterCommit: (ingested) => this.#announce(ingested),
      onPruned: (pruned) => this.#rebuild(pruned),
    });
  }

  start(): void {
    this.#consumer.start();
  }

  async stop(): Promise<void> {
    await this.#consumer.stop();
  }

  #announce({ messages, changes }: Ingested): void {
    const { metrics, news, onDue } = this.#options;
    const lagMs = changes.find(({ kind }) => kind === 'lag')?.name;
    metrics.ingested(messages, lagMs === undefined ? null : Number(lagMs));
    news.announce(newsOf(changes));
    for (const address of dueOf(changes)) onDue(address);
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

async function ingest(tx: Tx, batches: readonly Batch[]): Promise<Ingested> {
  const messages = batches.flatMap(({ partition, messages: waiting }) =>
    waiting.map(({ payload }) => ({ partition: Number(partition), payload })),
  );
  return { messages: messages.length, changes: await ingestDeltas(tx, messages) };
}

function dueOf(rows: readonly IngestedChange[]): DocumentAddress[] {
  return rows.flatMap(({ kind, tenant_id: tenantId, name }) => {
    if (kind !== 'document' || tenantId === null) return [];
    return [{ tenantId, ...(readJson(name) as Omit<DocumentAddress, 'tenantId'>) }];
  });
}

function newsOf(rows: readonly IngestedChange[]): News {
  const scopes = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'scope' && tenantId !== null ? [{ tenantId, scope: name }] : [],
  );
  const users = rows.flatMap(({ kind, tenant_id: tenantId, name }) =>
    kind === 'user' && tenantId !== null ? [{ tenantId, userId: name }] : [],
  );
  const ingests = rows.flatMap(({ kind, partition, name: number }) =>
    kind === 'number' && partition !== null ? [{ partition, number }] : [],
  );
  return { scopes, users, ingests };
}
