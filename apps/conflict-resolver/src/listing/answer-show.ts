import { RemoteError } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import { type ConflictShowReply, ConflictShowRequest } from '@sync/protocol';
import { checked } from '../answering/checked.ts';
import { loadConflicts } from '../records/announce-conflicts.ts';
import type { SuggestionSource } from '../suggestions/suggestion-source.ts';

const checkRequest = checked(ConflictShowRequest);

/**
 * One ConflictRecord.
 * @throws RemoteError `schema_invalid`, or `not_found`, the same for a record of another user as for none
 */
export async function answerShow(
  database: Database,
  suggestions: SuggestionSource,
  body: unknown,
): Promise<ConflictShowReply> {
  const { tenantId, conflictId, userId } = checkRequest(body);
  const records = await database.inTenant(tenantId, (tx) =>
    loadConflicts(tx, suggestions, tenantId, [conflictId]),
  );
  const conflict = records.get(conflictId);
  if (!conflict || (userId !== undefined && conflict.userId !== userId))
    throw new RemoteError('not_found', 'No such conflict');
  return { conflict };
}
