import { firstThatFit } from '@sync/messaging';
import { type Database, readInOrder } from '@sync/postgres';
import { type ConflictsReply, ConflictsRequest } from '@sync/protocol';
import { checked } from '../answering/checked.ts';
import { decodeCursor, encodeCursor, UUID } from '../answering/page-cursor.ts';
import { type PagePosition, listConflicts } from './list-store.ts';

const checkRequest = checked(ConflictsRequest);

/**
 * Bytes of one page as JSON, well below the bound of a NATS message; a page may end before its limit, `next`
 * then goes on.
 */
const MAX_PAGE_BYTES = 600 * 1024;

/**
 * A page of ConflictRecords of one tenant, or of one user, newest first.
 * @throws RemoteError `schema_invalid` or `cursor_invalid`
 */
export async function answerList(database: Database, body: unknown): Promise<ConflictsReply> {
  const request = checkRequest(body);
  const { tenantId, cursor, limit } = request;
  const after = cursor === null ? null : readCursor(cursor);
  const rows = await database.inTenant(tenantId, async (tx) => {
    await readInOrder(tx);
    return listConflicts(tx, request, after, limit + 1);
  });
  const page = firstThatFit(rows.slice(0, limit), MAX_PAGE_BYTES);
  const last = page.at(-1)?.position;
  const more = rows.length > page.length && last !== undefined;
  const next = more ? encodeCursor([last.detectedAt, last.conflictId]) : null;
  return { conflicts: page.map(({ summary }) => summary), next };
}

function readCursor(cursor: string): PagePosition {
  const [detectedAt = '', conflictId = ''] = decodeCursor(cursor, 2, (part, place) => {
    return place === 0 ? !Number.isNaN(Date.parse(part)) : UUID.test(part);
  });
  return { detectedAt, conflictId };
}
