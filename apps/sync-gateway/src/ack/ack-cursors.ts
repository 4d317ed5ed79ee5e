import { partitionOf } from '@sync/messaging';
import { type AckResponse, STREAMS } from '@sync/protocol';
import type { Caller } from '../access/caller.ts';
import type { GatewayNews } from '../heads/gateway-news.ts';
import type { AckMetrics } from './ack-metrics.ts';
import type { AckedCursor, AckInput, AckRow, AckStore } from './ack-store.ts';
import type { ResyncBudget } from './resync-budget.ts';

export interface AckCursorsOptions {
  readonly store: AckStore;
  readonly news: GatewayNews;
  readonly budget: ResyncBudget;
  readonly metrics: AckMetrics;
  /** A sync event may wait in the outbox. */
  readonly onEvents: () => void;
}

export type Ack = Pick<AckInput, 'outcomes' | 'purged'> & { readonly cursors: readonly AckedCursor[] };

/**
 * An ack: SyncCursors advance, outcomes and purge receipts are noted, and a digest that does not match asks
 * for a full resync.
 */
export class AckCursors {
  readonly #options: AckCursorsOptions;

  constructor(options: AckCursorsOptions) {
    this.#options = options;
  }

  async ack(caller: Caller, ack: Ack): Promise<AckResponse['cursors']> {
    const { store, news, budget, metrics } = this.#options;
    if (ack.cursors.length + ack.outcomes.length + ack.purged.length === 0) return [];
    const partition = partitionOf(`${caller.tenantId}\0${caller.deviceId}`, STREAMS.SYNC_EVENTS.partitions);
    const input = { ...ack, maxResyncs: budget.left(caller.tenantId, performance.now()), partition };
    const rows = await store.write(caller, input);
    const resyncs = rows.filter(({ kind }) => kind === 'resync').length;
    budget.spend(caller.tenantId, resyncs);
    metrics.digestMismatches(rows.filter(({ kind }) => kind !== 'cursor').length, resyncs);
    const { tenantId, userId, deviceId } = caller;
    if (resyncs + ack.outcomes.length + ack.purged.length > 0) {
      news.announce({ devices: [{ tenantId, userId, deviceId }] });
    }
    this.#options.onEvents();
    return rows.flatMap(statusOf);
  }
}

function statusOf({ kind, scope, result }: AckRow): AckResponse['cursors'] {
  return kind === 'cursor' && result !== null ? [{ scope, status: result }] : [];
}
