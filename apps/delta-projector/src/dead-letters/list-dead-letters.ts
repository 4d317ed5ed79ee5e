import { RemoteError } from '@sync/messaging';
import type { Database } from '@sync/postgres';
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
  readonly event: string;
  readonly attempts: number;
  readonly first_failed_at: Date;
  readonly last_failed_at: Date;
}

const checkRequest = validator(DeadLettersRequest);
const MAX_REPLY_BYTES = 700_000;
/** Events beyond this are left out of lists: a page of them would not fit into a message. */
const MAX_EVENT_BYTES = 65_536;

/**
 * Answers `subjects.deadLetters`: newest first. A page ends at its limit or at what fits into one message; the cursor is the id of its
 * last letter.
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
  const rows = await database.inTenant(tenantId, (tx) =>
    tx.query<DeadLetterRow>(
      `SELECT * FROM dead_letter
       WHERE tenant_id = $1 AND ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR status = $3)
         AND ($4::text IS NULL OR entity_type = $4) AND ($5::text IS NULL OR entity_id = $5)
       ORDER BY id DESC LIMIT $6`,
      [tenantId, before, status, entityType, entityId, limit + 1],
    ),
  );
  return pageOf(rows, limit);
}

function pageOf(rows: readonly DeadLetterRow[], limit: number): DeadLettersReply {
  const deadLetters: DeadLetter[] = [];
  let bytes = 0;
  for (const row of rows) {
    const letter = deadLetterOf(row);
    bytes += Buffer.byteLength(JSON.stringify(letter));
    const isFull = deadLetters.length === limit || (deadLetters.length > 0 && bytes > MAX_REPLY_BYTES);
    if (isFull) return { deadLetters, next: deadLetters.at(-1)?.deadLetterId ?? null };
    deadLetters.push(letter);
  }
  return { deadLetters, next: null };
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
    ...(row.event.length <= MAX_EVENT_BYTES && { event: JSON.parse(row.event) as unknown }),
  };
}

/** What is wrong with a request, for the one who sent it. */
export function faultsText(faults: readonly { readonly path: string; readonly message: string }[]): string {
  return faults.map(({ path, message }) => `${path} ${message}`).join('; ');
}
