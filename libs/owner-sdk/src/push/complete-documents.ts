import type { Tx } from '@sync/postgres';
import type { OwnerPushResult } from '@sync/protocol';
import type { DocumentSession } from '../document-port.ts';
import type { PushDecision } from './decide-push.ts';

/**
 * Merges the documents of a decided batch, and says in the results what merges met.
 *
 * @throws what the pool throws; nothing was written then
 */
export async function completeDocuments(
  tx: Tx,
  session: DocumentSession,
  decision: PushDecision,
): Promise<PushDecision> {
  const overlaps = await session.complete(tx, decision.changed);
  const withOverlaps = (result: OwnerPushResult): OwnerPushResult => {
    const found = overlaps.get(result.mutationId);
    return found && result.status === 'applied' ? { ...result, overlaps: found } : result;
  };
  return {
    ...decision,
    results: decision.results.map(withOverlaps),
    final: decision.final.map((answer) => ({ ...answer, result: withOverlaps(answer.result) })),
  };
}
