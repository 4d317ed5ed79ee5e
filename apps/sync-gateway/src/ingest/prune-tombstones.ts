import { Pruning } from '@sync/messaging';
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

/** Retention of deletions. Tickets that nobody used go with it. */
export function tombstonePruning({ database, logger, days }: PruneOptions): Pruning {
  return new Pruning(
    async (pruning) => {
      const tenants = await database.call<{ id: string }>(
        'known_tenants',
        'SELECT id FROM known_tenant ORDER BY id',
        [],
      );
      for (const { id } of tenants) {
        if (pruning.stopped) return;
        await database.call('prune_tickets', 'SELECT prune_tickets($1)', [id]);
        await pruning.inBatches(BATCH_ROWS, async (rows) => {
          const [batch] = await database.call<{ removed: number }>(
            'prune_tombstones',
            'SELECT prune_tombstones($1, $2, $3) AS removed',
            [id, days, rows],
          );
          return batch?.removed ?? 0;
        });
      }
    },
    { everyMs: INTERVAL_MS, logger, failure: 'retention will be tried again' },
  );
}
