import { Pruning } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { OwnerLogger } from './ports.ts';
import { pruneAnswers } from './push/push-store.ts';

const EVERY_MS = 3_600_000;
const ROWS_PER_TRANSACTION = 1_000;
const TENANTS_PER_PAGE = 1_000;

/** Forgets old answers once an hour, tenant by tenant in short transactions. */
export function inboxPruning(database: Database, logger: OwnerLogger, retentionDays: number): Pruning {
  const failure = 'could not prune the mutation inbox, it is tried again';
  return new Pruning(
    async (pruning) => {
      for (let after: string | undefined = ''; after !== undefined && !pruning.stopped;) {
        const rows: { tenant_id: string }[] = await database.call<{ tenant_id: string }>(
          'sync_prune_tenants',
          'SELECT tenant_id FROM sync_tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2',
          [after, TENANTS_PER_PAGE],
        );
        for (const { tenant_id: tenantId } of rows) {
          await pruning.inBatches(ROWS_PER_TRANSACTION, (limit) =>
            database.inTenant(tenantId, (tx) => pruneAnswers(tx, tenantId, retentionDays, limit)),
          );
        }
        after = rows.at(-1)?.tenant_id;
      }
    },
    { everyMs: EVERY_MS, logger, failure },
  );
}
