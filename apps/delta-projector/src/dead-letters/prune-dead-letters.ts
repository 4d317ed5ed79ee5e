import type { Database, Tx } from '@sync/postgres';
import { tenantPages } from '../database/known-tenants.ts';

/** Letters behind one quarantine: each carries the whole entity, so beyond these only the newest matter. */
const HELD_LETTERS_KEPT = 1_000;
/**
 * Letters of one entity that wait for a registration or a remote projector; only the newest will matter then.
 */
const HOPEFUL_LETTERS_KEPT = 10;
const UNREADABLE_KEPT = 10_000;

/**
 * Bounds what the dead letters may grow to: replayed ones leave after their time, an entity that goes on
 * changing in quarantine keeps its last 1,000 events (and always the one that holds it), one that waits for
 * somebody to come back its last 10, and of events without a tenant the last 10,000 stay.
 *
 * @param keepDays for replayed letters
 */
export async function pruneDeadLetters(database: Database, keepDays: number): Promise<void> {
  for await (const tenantIds of tenantPages(database)) {
    await database.inTenant(tenantIds, async (tx) => {
      await tx.query(
        `DELETE FROM dead_letter WHERE status = 'replayed' AND replayed_at < now() - $1 * interval '1 day'`,
        [keepDays],
      );
      await keepNewest(tx, HELD_LETTERS_KEPT, ['entity_quarantined']);
      await keepNewest(tx, HOPEFUL_LETTERS_KEPT, [
        'entity_type_unknown',
        'projector_unavailable',
        'document_unavailable',
      ]);
    });
  }
  await database.call(
    'prune_unreadable',
    `DELETE FROM unreadable_event WHERE id <= (SELECT max(id) FROM unreadable_event) - $1`,
    [UNREADABLE_KEPT],
  );
}

async function keepNewest(tx: Tx, kept: number, codes: readonly string[]): Promise<void> {
  await tx.query(
    `DELETE FROM dead_letter WHERE id = ANY (ARRAY(
       SELECT old.id FROM (
         SELECT id, row_number() OVER (PARTITION BY tenant_id, entity_type, entity_id
           ORDER BY id DESC) AS place
         FROM dead_letter WHERE status = 'quarantined' AND code = ANY ($2)) old
       WHERE old.place > $1))`,
    [kept, codes],
  );
}

/** Entities whose later events wait, over all tenants: the gauge that an alert watches. */
export async function countQuarantined(database: Database): Promise<number> {
  let total = 0;
  for await (const tenantIds of tenantPages(database)) {
    const rows = await database.inTenant(tenantIds, (tx) =>
      tx.query<{ count: number }>('SELECT count(*)::int4 AS count FROM quarantine'),
    );
    total += rows[0]?.count ?? 0;
  }
  return total;
}
