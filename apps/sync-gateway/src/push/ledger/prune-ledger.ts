import { repeatedUpkeep, type RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';

const INTERVAL_MS = 3_600_000;
const BATCH_ROWS = 2_000;
/** Row level security takes a list of tenants: one pass over the old pages serves many of them. */
const TENANTS_AT_ONCE = 200;

/**
 * Retention of the ledger, in every replica: batches are small and idempotent, so two at once only find less
 * to do.
 */
export class PruneLedger {
  readonly #database: Pick<Database, 'call'>;
  readonly #days: number;
  readonly #work: RepeatedWork;
  #stopped = false;

  /** @param days how long an outcome is kept for a device that may ask again */
  constructor(database: Pick<Database, 'call'>, logger: Logger, days: number) {
    this.#database = database;
    this.#days = days;
    const failure = 'the ledger could not be pruned; it is tried again';
    this.#work = repeatedUpkeep(() => this.prune(), { everyMs: INTERVAL_MS, logger, failure });
  }

  start(): void {
    this.#work.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work.stop();
  }

  /** @returns how many outcomes were forgotten */
  async prune(): Promise<number> {
    const rows = await this.#database.call<{ id: string }>(
      'known_tenants',
      'SELECT id FROM known_tenant ORDER BY id',
      [],
    );
    let removed = 0;
    for (let from = 0; from < rows.length && !this.#stopped; from += TENANTS_AT_ONCE) {
      const tenants = rows.slice(from, from + TENANTS_AT_ONCE).map(({ id }) => id);
      removed += await this.#pruneTenants(tenants.join(','));
    }
    return removed;
  }

  async #pruneTenants(tenants: string): Promise<number> {
    let removed = 0;
    for (let batch = BATCH_ROWS; batch === BATCH_ROWS && !this.#stopped; removed += batch) {
      const rows = await this.#database.call<{ removed: number }>(
        'prune_ledger',
        'SELECT prune_ledger($1, $2, $3) AS removed',
        [tenants, this.#days, BATCH_ROWS],
      );
      batch = rows[0]?.removed ?? 0;
    }
    return removed;
  }
}
