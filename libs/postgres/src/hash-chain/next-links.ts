import type { JsonObject } from '@sync/domain';
import { escapeIdentifier } from 'pg';
import type { Tx } from '../transaction.ts';
import { CHAIN_START, type ChainPoint, linkOf, positionAfter, type StoredLink } from './links.ts';

/**
 * The links that come next in a tenant's chain, for the caller to insert in the same transaction.
 *
 * Appends of a tenant queue behind an advisory lock until the transaction ends; the last link is read by a
 * statement of its own, because a statement's snapshot is older than the lock that it waited for.
 *
 * @param table has the columns tenant_id, position, entry and hash
 * @param fieldsAt what is hashed, with the hash before it, for the link at this position
 */
export async function nextLinks<Draft>(
  tx: Tx,
  table: string,
  tenantId: string,
  drafts: readonly Draft[],
  fieldsAt: (draft: Draft, position: string) => JsonObject,
): Promise<(StoredLink & { readonly draft: Draft })[]> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [lockName(table, tenantId)]);
  const [last = CHAIN_START] = await tx.query<ChainPoint>(
    `SELECT position, hash FROM ${escapeIdentifier(table)} WHERE tenant_id = $1 ORDER BY position DESC LIMIT 1`,
    [tenantId],
  );
  let before = last;
  return drafts.map((draft) => {
    const position = positionAfter(before.position);
    const link = { position, ...linkOf(fieldsAt(draft, position), before.hash) };
    before = link;
    return { ...link, draft };
  });
}

/** `conflict_history` → `conflict-history:t1` */
function lockName(table: string, tenantId: string): string {
  return `${table.replaceAll('_', '-')}:${tenantId}`;
}
