import { drawClientId, type Rewritten } from '@sync/documents';
import type { DocumentPool } from '@sync/documents/node';
import type { PushedMutation } from '@sync/protocol';
import { GONE, type DocumentRow } from './document-rows.ts';
import { runJob } from './run-job.ts';

/**
 * Works out what accepted suggestions change in the documents as they are now. Each gets a clientID of its
 * own from the range that no device may write under: what a model wrote is told from everything else for as
 * long as the document lives.
 *
 * @returns by mutationId; nothing for a document that is not there
 * @throws what {@link runJob} throws
 */
export async function rewriteDocuments(
  pool: DocumentPool,
  documents: ReadonlyMap<string, DocumentRow>,
  pushed: readonly PushedMutation[],
): Promise<ReadonlyMap<string, Rewritten>> {
  const rewritten = new Map<string, Rewritten>();
  for (const { mutationId, entityId, suggestion } of pushed) {
    const document = documents.get(entityId);
    if (!suggestion || !document || document.stateHash === GONE) continue;
    const clientId = drawClientId('suggestion', Math.random);
    const input = { state: document.state, edits: suggestion.edits, clientId };
    rewritten.set(mutationId, await runJob(pool, 'rewrite', input));
  }
  return rewritten;
}
