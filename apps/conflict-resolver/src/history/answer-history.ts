import { RemoteError } from '@sync/messaging';
import { type Database, readInOrder } from '@sync/postgres';
import { type ConflictHistoryReply, ConflictHistoryRequest } from '@sync/protocol';
import { checked } from '../answering/checked.ts';
import { encodeCursor, positionOf } from '../answering/page-cursor.ts';
import { loadRows } from '../records/conflict-store.ts';
import { entryOf } from './history-entry.ts';
import { readLinksOf } from './history-store.ts';

const checkRequest = checked(ConflictHistoryRequest);

/**
 * What happened to one record, oldest first.
 * @throws RemoteError `schema_invalid`, `cursor_invalid`, or `not_found` when the tenant has no such record
 */
export async function answerHistory(database: Database, body: unknown): Promise<ConflictHistoryReply> {
  const { tenantId, conflictId, cursor, limit } = checkRequest(body);
  const after = positionOf(cursor);
  const links = await database.inTenant(tenantId, async (tx) => {
    const [row] = await loadRows(tx, tenantId, [conflictId]);
    if (!row) throw new RemoteError('not_found', 'No such conflict');
    await readInOrder(tx);
    return readLinksOf(tx, tenantId, conflictId, after, limit + 1);
  });
  const page = links.slice(0, limit);
  const last = page.at(-1);
  return {
    entries: page.map(entryOf),
    next: links.length > limit && last ? encodeCursor([last.position]) : null,
  };
}
