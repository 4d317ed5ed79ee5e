import type { Tx } from '@sync/postgres';
import type { ConflictHistoryEntry } from '@sync/protocol';
import { entryOf, type HistoryDraft, linkOf } from './history-entry.ts';

/** A row of the chain. `position` counts from 1 without gaps within a tenant. */
export interface StoredLink {
  readonly position: string;
  readonly conflictId: string;
  readonly text: string;
  readonly hash: string;
}

/**
 * Appends to the tenant's history, in the caller's transaction.
 *
 * The tenant's appends queue behind an advisory lock until the transaction ends; the last link is read by a
 * statement of its own, because a statement's snapshot is older than the lock that it waited for. Take locks
 * in this order: the record's row, this one, then `announce`.
 *
 * @returns the hash of each new link
 */
export async function appendHistory(
  tx: Tx,
  tenantId: string,
  drafts: readonly HistoryDraft[],
): Promise<string[]> {
  if (drafts.length === 0) return [];
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('conflict-history:' || $1, 0))`, [tenantId]);
  const [last] = await tx.query<{ position: string; hash: string }>(
    `SELECT position, hash FROM conflict_history WHERE tenant_id = $1 ORDER BY position DESC LIMIT 1`,
    [tenantId],
  );
  let previous = last?.hash ?? '';
  const rows = drafts.map((draft) => {
    const { text, hash } = linkOf(draft, previous);
    previous = hash;
    return { id: draft.conflictId, text, hash };
  });
  await tx.query(
    `INSERT INTO conflict_history (tenant_id, position, conflict_id, entry, hash)
     SELECT $1, $2::bigint + r.place, (r.link ->> 'id')::uuid, r.link ->> 'text', r.link ->> 'hash'
     FROM json_array_elements($3::json) WITH ORDINALITY AS r (link, place)`,
    [tenantId, last?.position ?? '0', JSON.stringify(rows)],
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
