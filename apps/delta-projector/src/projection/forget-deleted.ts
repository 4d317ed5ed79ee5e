import { type MessagingLogger, Pruning } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { tenantPages } from '../database/known-tenants.ts';
import type { RenderedChange } from './render-change.ts';

const BATCH_ROWS = 1_000;
const FORGET_MS = 3_600_000;

/**
 * Notes which of the changes are deletions that leave data behind: a round trip, only where there are any.
 */
export async function noteDeletions(tx: Pick<Tx, 'call'>, changes: readonly RenderedChange[]): Promise<void> {
  const deleted = changes.filter(({ change: { after, comparesFields } }) => {
    return comparesFields && after.deletedData !== null;
  });
  if (deleted.length === 0) return;
  await tx.call(
    'note_deletions',
    `INSERT INTO deletion (tenant_id, entity_type, entity_id)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
     ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE SET deleted_at = excluded.deleted_at`,
    [
      deleted.map(({ change }) => change.tenantId),
      deleted.map(({ change }) => change.entityType),
      deleted.map(({ change }) => change.entityId),
    ],
  );
}

/**
 * Forgets what was deleted, once the gateways have forgotten the deletion: nobody can bring it back any more.
 * Who wrote which field stays known.
 *
 * @param days how long deletions are kept
 */
export function deletionPruning(database: Database, days: number, logger: MessagingLogger): Pruning {
  return new Pruning(
    async (pruning) => {
      for await (const tenantIds of tenantPages(database)) {
        if (pruning.stopped) return;
        await pruning.inBatches(BATCH_ROWS, (rows) =>
          database.inTenant(tenantIds, async (tx) => {
            await tx.query(`SELECT set_config('enable_seqscan', 'off', true)`);
            const [row] = await tx.query<{ old: number }>(FORGET, [days, rows]);
            return row?.old ?? 0;
          }),
        );
      }
    },
    { everyMs: FORGET_MS, logger, failure: 'could not forget what was deleted' },
  );
}

// An entity that is being projected now is left for the next time: what is locked here is not waited for.
const FORGET = `
  WITH old AS (
    DELETE FROM deletion WHERE ctid = ANY (ARRAY(
      SELECT d.ctid FROM deletion d WHERE d.deleted_at < now() - $1 * interval '1 day'
      LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING tenant_id, entity_type, entity_id
  ), forgotten AS (
    UPDATE entity_head h SET last_data = NULL FROM old o
    WHERE h.tenant_id = o.tenant_id AND h.entity_type = o.entity_type AND h.entity_id = o.entity_id
      AND h.deleted
  )
  SELECT count(*)::int4 AS old FROM old`;
