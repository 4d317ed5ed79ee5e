import { Pruning } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';

const INTERVAL_MS = 3_600_000;
const BATCH_ROWS = 2_000;
/** Row level security takes a list of tenants: one pass over the old pages serves many of them. */
const TENANTS_AT_ONCE = 200;

/**
 * Retention of the ledger.
 * @param days how long an outcome is kept for a device that may ask again
 */
export function ledgerPruning(database: Pick<Database, 'call'>, logger: Logger, days: number): Pruning {
  return new Pruning(
    async (pruning) => {
      const rows = await database.call<{ id: string }>(
        'known_tenants',
        'SELECT id FROM known_tenant ORDER BY id',
        [],
      );
      for (let from = 0; from < rows.length && !pruning.stopped; from += TENANTS_AT_ONCE) {
        const tenants = rows.slice(from, from + TENANTS_AT_ONCE).map(({ id }) => id);
        await pruning.inBatches(BATCH_ROWS, async (most) => {
          const [batch] = await database.call<{ removed: number }>(
            'prune_ledger',
            'SELECT prune_ledger($1, $2, $3) AS removed',
            [tenants.join(','), days, most],
          );
          return batch?.removed ?? 0;
        });
      }
    },
    { everyMs: INTERVAL_MS, logger, failure: 'the ledger could not be pruned; it is tried again' },
  );
}
