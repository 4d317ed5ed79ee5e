import { readJson } from '@sync/domain';
import { firstThatFit, RemoteError } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { DeadLettersRequest, validator, type DeadLetter, type DeadLettersReply } from '@sync/protocol';

/** A row of `dead_letter` without its bookkeeping. */
export interface DeadLetterRow {
  readonly id: string;
  readonly status: string;
  readonly producer: string;
  readonly event_id: string | null;
  readonly entity_type: string | null;
  readonly entity_id: string | null;
  readonly revision: string | null;
  readonly code: string;
  readonly cause: string;
  /** Null where it is too large for a list. */
  readonly event: string | null;
  readonly attempts: number;
  readonly first_failed_at: Date;
  readonly last_failed_at: Date;
}

const checkRequest = validator(DeadLettersRequest);
const MAX_REPLY_BYTES = 700_000;
/** Events beyond this are left out of lists: a page of them would not fit into a message. */
const MAX_EVENT_BYTES = 65_536;

/**
 * Answers `subjects.deadLetters`: newest first. A page ends at its limit or at what fits into one message;
 * the cursor is the id of its last letter.
 *
 * @throws RemoteError `schema_invalid`
 */
export async function listDeadLetters(database: Database, body: unknown): Promise<DeadLettersReply> {
  const checked = checkRequest(body);
  if (!checked.ok) throw new RemoteError('schema_invalid', faultsText(checked.faults));
  const { tenantId, cursor, limit, status = null, entityType = null, entityId = null } = checked.value;
  const before = cursor === null ? null : Number(cursor);
  if (before !== null && !Number.isSafeInteger(before)) {
    throw new RemoteError('schema_invalid', '/cursor is not one that this list gave');
  }
  const filters = [tenantId, before, status, entityType, entityId] as const;
  const rows = await database.inTenant(tenantId, (tx) => readLetters(tx, filters, limit));
  return pageOf(rows);
}

interface ListedRow extends DeadLetterRow {
  /** There are letters behind it. */
  readonly more: boolean;
}

/**
 * No more of the events than a reply has room for, whatever is stored: 500 letters may be half a gigabyte.
 */
export async function readLetters(
  tx: Pick<Tx, 'query'>,
  filters: readonly (string | number | null)[],
  limit: number,
): Promise<ListedRow[]> {
  return tx.query<ListedRow>(
    `SELECT * FROM (
       SELECT l.id, l.status, l.producer, l.event_id, l.entity_type, l.entity_id, l.revision, l.code,
         l.cause, l.attempts,
         l.first_failed_at, l.last_failed_at, CASE WHEN l.bytes <= $7 THEN l.event END AS event,
           lead(l.id) OVER w IS NOT NULL AS more,
         row_number() OVER w AS place,
         sum(CASE WHEN l.bytes <= $7 THEN l.bytes ELSE 0 END + octet_length(l.cause)) OVER w AS total
       FROM (
         SELECT d.*, octet_length(d.event) AS bytes FROM dead_letter d
         WHERE d.tenant_id = $1 AND ($2::bigint IS NULL OR d.id < $2) AND ($3::text IS NULL OR d.status = $3)
           AND ($4::text IS NULL OR d.entity_type = $4) AND ($5::text IS NULL OR d.entity_id = $5)
         ORDER BY d.id DESC LIMIT $6) l
       WINDOW w AS (ORDER BY l.id DESC)) p
     WHERE p.place <= $6 - 1 AND (p.place = 1 OR p.total <= $8) ORDER BY p.id DESC`,
    [...filters, limit + 1, MAX_EVENT_BYTES, MAX_REPLY_BYTES],
  );
}

function pageOf(rows: readonly ListedRow[]): DeadLettersReply {
  const deadLetters = firstThatFit(rows.map(deadLetterOf), MAX_REPLY_BYTES);
  const last = rows[deadLetters.length - 1];
  return { deadLetters, next: last?.more ? last.id : null };
}

/** The letter as the admin API shows it. */
export function deadLetterOf(row: DeadLetterRow): DeadLetter {
  return {
    deadLetterId: row.id,
    status: row.status === 'replayed' ? 'replayed' : 'quarantined',
    producer: row.producer,
    eventId: row.event_id,
    entityType: row.entity_type,
    entityId: row.entity_id,
    revision: row.revision === null ? null : Number(row.revision),
    code: row.code,
    cause: row.cause,
    attempts: row.attempts,
    firstFailedAt: row.first_failed_at.toISOString(),
    lastFailedAt: row.last_failed_at.toISOString(),
    ...(row.event !== null && row.event.length <= MAX_EVENT_BYTES && { event: readJson(row.event) }),
  };
}

/** What is wrong with a request, for the one who sent it. */
export function faultsText(faults: readonly { readonly path: string; readonly message: string }[]): string {
  return faults.map(({ path, message }) => `${path} ${message}`).join('; ');
}
