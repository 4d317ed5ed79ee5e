import { drawClientId } from '@sync/documents';
import * as Y from 'yjs';
import type { TestServer } from '../server/test-server.ts';

/**
 * The document as whoever pulls everything has it; a copy.
 * @throws TypeError where there is none
 */
export function documentOf(
  server: TestServer,
  entityType: string,
  entityId: string,
  tenantId?: string,
): Y.Doc {
  const state = server.document(entityType, entityId, tenantId);
  if (!state) throw new TypeError(`There is no document ${entityType} ${entityId}`);
  const doc = new Y.Doc();
  // Under a clientID of servers, which no device may write under.
  doc.clientID = drawClientId('server', Math.random);
  Y.applyUpdate(doc, state);
  return doc;
}

/**
 * Somebody else changes a document.
 * @param edit is given the document, and changes it
 * @throws TypeError where there is none
 */
export function editDocument(
  server: TestServer,
  entityType: string,
  entityId: string,
  edit: (doc: Y.Doc) => void,
  tenantId?: string,
): void {
  const doc = documentOf(server, entityType, entityId, tenantId);
  const before = Y.encodeStateVector(doc);
  doc.transact(() => edit(doc));
  server.changeDocument(entityType, entityId, Y.encodeStateAsUpdate(doc, before), tenantId);
}
