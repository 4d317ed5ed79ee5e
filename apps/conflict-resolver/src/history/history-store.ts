import { nextLinks, type StoredLink as ChainLink, type Tx } from '@sync/postgres';
import type { ConflictHistoryEntry } from '@sync/protocol';
import { entryOf, fieldsOf, type HistoryDraft } from './history-entry.ts';

/** A row of the tenant's chain. */
export interface StoredLink extends ChainLink {
  readonly conflictId: string;
}

/**
 * Appends to the tenant's history, in the caller's transaction.
 *
 * The tenant's appends queue behind a lock until the transaction ends. Take locks in this order: the record's
 * row, this one, then `announce`.
 *
 * @returns the hash of each new link
 */
export async function appendHistory(
  tx: Tx,
  tenantId: string,
  drafts: readonly HistoryDraft[],
): Promise<string[]> {
  if (drafts.length === 0) return [];
  const links = await nextLinks(tx, 'conflict_history', tenantId, drafts, fieldsOf);
  const rows = links.map(({ draft, position, text, hash }) => ({
    id: draft.conflictId,
    position,
    text,
    hash,
  }));
  await tx.query(
    `INSERT INTO conflict_history (tenant_id, position, conflict_id, entry, hash)
     SELECT $1, (link ->> 'position')::bigint, (link ->> 'id')::uuid, link ->> 'text', link ->> 'hash'
     FROM json_array_elements($2::json) AS link`,
    [tenantId, JSON.stringify(rows)],
  );
  return rows.map(({ hash }) => hash);
}

/** The newest entries of each record, oldest of them first. */
export async function loadHistories(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
  perRecord: number,
): Promise<Map<string, ConflictHistoryEntry[]>> {
  const rows = await tx.query<{ id: string; text: string; hash: string }>(
    `SELECT conflict_id AS id, entry AS text, hash FROM conflict_histories($1, $2, $3)`,
    [tenantId, conflictIds, perRecord],
  );
  const byRecord = new Map<string, ConflictHistoryEntry[]>();
  for (const { id, text, hash } of rows.reverse()) {
    const entries = byRecord.get(id) ?? [];
    entries.push(entryOf({ text, hash }));
    byRecord.set(id, entries);
  }
  return byRecord;
}

/** The links after a position, in order. */
export async function readLinks(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
): Promise<StoredLink[]> {
  return tx.query<StoredLink>(
    `SELECT position, conflict_id AS "conflictId", entry AS text, hash FROM conflict_history
     WHERE tenant_id = $1 AND position > $2::bigint ORDER BY position LIMIT $3`,
    [tenantId, after, limit],
  );
}

/** One record's links after a position, in order; in a transaction after `readInOrder`. */
export async function readLinksOf(
  tx: Tx,
  tenantId: string,
  conflictId: string,
  after: string,
  limit: number,
): Promise<StoredLink[]> {
  return tx.query<StoredLink>(
    `SELECT position, conflict_id AS "conflictId", entry AS text, hash FROM conflict_history
     WHERE tenant_id = $1 AND conflict_id >= $2 AND conflict_id <= $2 AND position > $3::bigint
     ORDER BY conflict_id, position LIMIT $4`,
    [tenantId, conflictId, after, limit],
  );
}
