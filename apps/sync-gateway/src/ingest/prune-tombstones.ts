import { repeatedUpkeep, type RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';

export interface PruneOptions {
  readonly database: Pick<Database, 'call'>;
  readonly logger: Logger;
  /** How long a deletion is kept for devices that have not seen it. */
  readonly days: number;
}

const INTERVAL_MS = 600_000;
const BATCH_ROWS = 1_000;

/**
 * Retention of deletions, in every replica: batches are small and idempotent, so two at once only find less
 * to do. Tickets that nobody used go with it.
 */
export class PruneTombstones {
  readonly #options: PruneOptions;
  readonly #work: RepeatedWork;
  #stopped = false;

  constructor(options: PruneOptions) {
    this.#options = options;
    const { logger } = options;
    const failure = 'retention will be tried again';
    this.#work = repeatedUpkeep(() => this.prune(), { everyMs: INTERVAL_MS, logger, failure });
  }

  start(): void {
    this.#work.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work.stop();
  }

  /** @returns how many deletions were removed */
  async prune(): Promise<number> {
    const { database, days } = this.#options;
    const tenants = await database.call<{ id: string }>(
      'known_tenants',
      'SELECT id FROM known_tenant ORDER BY id',
      [],
    );
    let removed = 0;
    for (const { id } of tenants) {
      await database.call('prune_tickets', 'SELECT prune_tickets($1)', [id]);
      let batch = BATCH_ROWS;
      while (batch === BATCH_ROWS && !this.#stopped) {
        const rows = await database.call<{ removed: number }>(
          'prune_tombstones',
          'SELECT prune_tombstones($1, $2, $3) AS removed',
          [id, days, BATCH_ROWS],
        );
        batch = rows[0]?.removed ?? 0;
        removed += batch;
      }
    }
    return removed;
  }
}
