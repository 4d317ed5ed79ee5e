import { type ChainAnchor, type Database, nextLinks, type StoredLink, type Tx } from '@sync/postgres';
import type { AuditOutcome } from '@sync/protocol';
import { actorName, type AuditDraft, fieldsOf } from './audit-entry.ts';

/** A row of the log: the hashed text, and the columns that repeat parts of it. */
export interface AuditRow extends StoredLink {
  /** RFC 3339, in UTC with milliseconds. */
  readonly at: string;
  readonly actor: string;
  readonly operation: string;
  readonly outcome: string;
}

const COLUMNS = `position::text AS position, entry AS text, hash, actor, operation, outcome,
  to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at`;

/**
 * Appends to the tenant's chain, in the caller's transaction of that tenant. Other appends of the tenant wait
 * until it ends: let this be one of its last statements, before what goes to the outbox.
 * @returns the position of each line
 */
export async function appendEntries(
  tx: Tx,
  tenantId: string,
  drafts: readonly AuditDraft[],
): Promise<string[]> {
  if (drafts.length === 0) return [];
  const links = await nextLinks(tx, 'audit_entry', tenantId, drafts, (draft, position) =>
    fieldsOf(tenantId, draft, position),
  );
  const rows = links.map(({ draft, position, text, hash }) => {
    const { at, actor, operation, outcome } = draft;
    return { position, text, hash, at, actor: actorName(actor), operation, outcome };
  });
  await tx.query(
    `INSERT INTO audit_entry (tenant_id, position, at, actor, operation, outcome, entry, hash)
     SELECT $1, (row ->> 'position')::bigint, (row ->> 'at')::timestamptz, row ->> 'actor', row ->> 'operation',
            row ->> 'outcome', row ->> 'text', row ->> 'hash'
     FROM json_array_elements($2::json) AS row`,
    [tenantId, JSON.stringify(rows)],
  );
  return rows.map(({ position }) => position);
}

export interface AuditFilter {
  /** A user or a service. */
  readonly actor?: string | undefined;
  readonly operation?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  /** RFC 3339, both inclusive. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Where a page begins: behind the line at this time and position. */
export interface AuditPlace {
  readonly at: string;
  readonly position: string;
}

export interface AuditPage {
  readonly rows: readonly AuditRow[];
  /** null: there is nothing behind it. */
  readonly next: AuditPlace | null;
}

/** Rows that one page reads at most: where few of them fit, it ends early and the next one goes on. */
const SCAN_ROWS = 2_000;

/**
 * A page of the log, newest first; in a transaction after `readInOrder`. Of the filters one is read along an
 * index of its own: the actor, else the operation, else the time alone. Only rows that come along that index
 * are compared with the others, and only {@link SCAN_ROWS} of them.
 *
 * The column of the index stands as a range at the head of the order, so that no other index can serve: row
 * level security and our own condition both name the tenant, and the planner takes any index for selective.
 */
export async function listEntries(
  tx: Tx,
  tenantId: string,
  { actor, operation, outcome, from, to }: AuditFilter,
  after: AuditPlace | null,
  limit: number,
): Promise<AuditPage> {
  const [range, first] =
    actor !== undefined
      ? ['AND actor >= $2 AND actor <= $2', ['actor']]
      : operation !== undefined
        ? ['AND operation >= $3 AND operation <= $3', ['operation']]
        : ['', []];
  const order = [...first, 'at', 'position'].map((column) => `e.${column} DESC`).join(', ');
  const rows = await tx.query<AuditRow & { readonly fits: boolean; readonly scanned: number }>(
    `SELECT ${COLUMNS}, fits, scanned
     FROM (SELECT e.*, row_number() OVER (ORDER BY ${order})::int4 AS scanned,
             ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR operation = $3)
               AND ($4::text IS NULL OR outcome = $4) AS fits
           FROM (SELECT e.* FROM audit_entry e
                 WHERE tenant_id = $1 ${range}
                   AND at >= coalesce($5::timestamptz, '-infinity') AND at <= coalesce($6::timestamptz, 'infinity')
                   AND (at, position) < (coalesce($7::timestamptz, 'infinity'), coalesce($8::bigint, 0))
                 ORDER BY ${order} LIMIT ${SCAN_ROWS}) e) e
     WHERE fits OR scanned = ${SCAN_ROWS} ORDER BY ${order} LIMIT $9`,
    [
      ...[tenantId, actor ?? null, operation ?? null, outcome ?? null, from ?? null, to ?? null],
      ...[after?.at ?? null, after?.position ?? null, limit + 1],
    ],
  );
  const fitting = rows.filter(({ fits }) => fits);
  const page = fitting.slice(0, limit);
  const last = fitting.length > limit ? page.at(-1) : rows.find(({ scanned }) => scanned === SCAN_ROWS);
  return { rows: page, next: last ? { at: last.at, position: last.position } : null };
}

/** A page of a chain, and what was counted of it, as they were at one moment. */
export interface AnchoredRows {
  /** null: nothing was ever written. */
  readonly anchor: ChainAnchor | null;
  readonly rows: readonly AuditRow[];
}

/**
 * The lines after a position in order, with the chain's anchor: one statement, because a line that is written
 * between two would look like one too many.
 */
export async function readChain(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
): Promise<AnchoredRows> {
  const [page] = await tx.query<{ entries: string | null; hash: string; rows: readonly AuditRow[] | null }>(
    `SELECT a.entries, a.hash, page.rows
     FROM (SELECT json_agg(l ORDER BY l.position::bigint) AS rows
           FROM (SELECT ${COLUMNS} FROM audit_entry
                 WHERE tenant_id = $1 AND position > $2::bigint ORDER BY audit_entry.position LIMIT $3) l) page
     LEFT JOIN audit_entry_anchor a ON a.tenant_id = $1`,
    [tenantId, after, limit],
  );
  const { entries = null, hash = '', rows = null } = page ?? {};
  return { anchor: entries === null ? null : { entries, hash }, rows: rows ?? [] };
}

/** The tenant whose chain comes next in the order of their ids; null behind the last. */
export async function chainAfter(database: Database, tenantId: string): Promise<string | null> {
  const [next] = await database.call<{ tenantId: string }>(
    'audit_chain_after',
    'SELECT tenant_id AS "tenantId" FROM audit_entry_anchor WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1',
    [tenantId],
  );
  return next?.tenantId ?? null;
}
