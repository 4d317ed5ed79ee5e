import { tenantList } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import type { Observations } from './collect-observations.ts';

const SAVE = 'SELECT save_observations($1, $2, $3, $4, $5, $6, $7)';

/** Writes observations of all their tenants; see save-observations.sql. One round trip. */
export async function saveObservations(tx: Tx, seen: Observations): Promise<void> {
  // The last word per user and scope counts.
  const revoked = new Map(seen.revoked.map((row) => [`${row.tenantId} ${row.userId} ${row.scope}`, row]));
  await tx.call('save_observations', SAVE, [
    tenantList(seen.tenants),
    ...[seen.devices, seen.scopes, seen.cursors, revoked].map((rows) => rowsOf([...rows.values()])),
    ...[seen.purged, seen.incidents].map(rowsOf),
  ]);
}

function rowsOf(rows: readonly object[]): string | null {
  return rows.length === 0 ? null : JSON.stringify(rows);
}
