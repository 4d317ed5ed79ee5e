import { RemoteError } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { type ConflictsReply, ConflictsRequest, type ConflictSummary, validator } from '@sync/protocol';
import { type PagePosition, listConflicts } from './list-store.ts';

const checkRequest = validator(ConflictsRequest);

/**
 * A page of ConflictRecords of one tenant, newest first.
 * @throws RemoteError `schema_invalid` or `cursor_invalid`
 */
export async function answerList(database: Database, body: unknown): Promise<ConflictsReply> {
  const request = checkRequest(body);
  if (!request.ok) {
    const [fault] = request.faults;
    throw new RemoteError('schema_invalid', `${fault?.path ?? ''} ${fault?.message ?? ''}`.trim());
  }
  const { tenantId, cursor, limit } = request.value;
  const after = cursor === null ? null : decodeCursor(cursor);
  const rows = await database.inTenant(tenantId, (tx) => listConflicts(tx, request.value, after, limit + 1));
  const conflicts = rows.slice(0, limit);
  const last = conflicts.at(-1);
  return { conflicts, next: rows.length > limit && last ? encodeCursor(last) : null };
}

function encodeCursor({ detectedAt, conflictId }: ConflictSummary): string {
  return Buffer.from(JSON.stringify([detectedAt, conflictId])).toString('base64url');
}

function decodeCursor(cursor: string): PagePosition {
  try {
    const [detectedAt, conflictId] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [
      unknown,
      unknown,
    ];
    if (
      typeof detectedAt === 'string' &&
      typeof conflictId === 'string' &&
      !Number.isNaN(Date.parse(detectedAt))
    ) {
      return { detectedAt, conflictId };
    }
  } catch {
    // Answered below, like any other cursor that is not ours.
  }
  throw new RemoteError('cursor_invalid', 'The page cursor is not one of this list');
}
