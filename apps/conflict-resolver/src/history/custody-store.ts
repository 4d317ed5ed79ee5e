import { hashJson } from './hashes.ts';
import type { JsonObject } from '@sync/domain';
import type { ChainAnchor, Tx } from '@sync/postgres';
import type { ConflictStatus } from '@sync/protocol';
import { contentHash } from '../records/conflict-record.ts';
import { type ConflictRow, RECORD_COLUMNS } from '../records/conflict-store.ts';
import type { StoredLink } from './history-store.ts';
import type { RecordCustody } from './verify-custody.ts';
import type { RecordEvidence } from './verify-chain.ts';

/** A page of the chain and what was counted of it, as they were at one moment. */
export interface AnchoredPage {
  /** null: nothing was ever appended. */
  readonly anchor: ChainAnchor | null;
  readonly links: readonly StoredLink[];
}

/**
 * The links after a position with the tenant's anchor: one statement, because a link that is appended between
 * two would look like one too many.
 */
export async function readAnchored(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
): Promise<AnchoredPage> {
  const [page] = await tx.query<{
    entries: string | null;
    hash: string | null;
    links: readonly StoredLink[] | null;
  }>(
    `SELECT a.entries, a.hash, page.links
     FROM (SELECT json_agg(json_build_object('position', l.position::text, 'conflictId', l.conflict_id,
             'text', l.entry, 'hash', l.hash) ORDER BY l.position) AS links
           FROM (SELECT position, conflict_id, entry, hash FROM conflict_history
                 WHERE tenant_id = $1 AND position > $2::bigint ORDER BY position LIMIT $3) l) page
     LEFT JOIN conflict_history_anchor a ON a.tenant_id = $1`,
    [tenantId, after, limit],
  );
  const { entries = null, hash, links } = page ?? {};
  return { anchor: entries === null ? null : { entries, hash: hash ?? '' }, links: links ?? [] };
}

/** What each record's row comes to now, by id. */
export async function readEvidence(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<(readonly [string, RecordEvidence])[]> {
  const rows = await tx.query<ConflictRow & { resolution: string | null; fieldsFit: boolean }>(
    `SELECT ${RECORD_COLUMNS}, resolution,
            fields = ARRAY(SELECT f ->> 'field' FROM json_array_elements(draft -> 'fields') f) AS "fieldsFit"
     FROM conflict_record WHERE tenant_id = $1 AND conflict_id = ANY ($2::uuid[])`,
    [tenantId, conflictIds],
  );
  return rows.map((row) => {
    const { conflictId, status, decider, detectedAt, resolvedAt, resolution, fieldsFit } = row;
    const decision = row.decision === null ? null : hashJson(row.decision as JsonObject);
    const times = { detectedAt, resolvedAt };
    return [
      conflictId,
      { content: contentHash(row), decision, decider, status, resolution, fieldsFit, ...times },
    ];
  });
}

/** Records and what is left of them, in the order of their ids, after one of them. */
export async function readCustody(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
): Promise<RecordCustody[]> {
  const rows = await tx.query<{
    conflictId: string;
    status: ConflictStatus | null;
    kept: string | null;
    keptHash: string | null;
    entries: string;
    hash: string;
    resolutions: string;
  }>(
    `SELECT conflict_id AS "conflictId", status, kept, kept_hash AS "keptHash", entries, hash, resolutions
     FROM conflict_custody($1, $2::uuid, $3)`,
    [tenantId, after, limit],
  );
  return rows.map(({ conflictId, status, kept, keptHash, entries, hash, resolutions }) => ({
    conflictId,
    status,
    head: kept === null ? null : { entries: kept, hash: keptHash ?? '' },
    found: { entries, hash },
    resolutions: Number(resolutions),
  }));
}
