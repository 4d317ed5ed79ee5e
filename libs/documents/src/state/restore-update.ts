import * as Y from 'yjs';
import { loadDocument } from './document-state.ts';

const SINCE = Symbol('changes since the point to restore');

/**
 * A forward change that gives a document the content that it had: everything written since is deleted,
 * everything deleted since is written again under `clientId`. History stays; other devices get the result
 * like any edit, and what they write meanwhile merges with it.
 *
 * It is what `Y.UndoManager` makes of all later changes taken as one step. Writing the old content over the
 * new one was the alternative: it would take away the place of everything that devices have not sent yet.
 *
 * @param stateThen the document at that point, with the content that was visible then
 * @param updatesSince every update after it, in their order
 * @param clientId a fresh one of the server's range, see `drawClientId`
 * @returns null when the document has that content already
 * @throws IncompleteStateError when updates are missing
 */
export function restoreUpdate(
  stateThen: Uint8Array,
  updatesSince: readonly Uint8Array[],
  clientId: number,
): Uint8Array | null {
  const doc = loadDocument([stateThen], false);
  doc.clientID = clientId;
  const undo = new Y.UndoManager(doc, {
    trackedOrigins: new Set([SINCE]),
    captureTimeout: Infinity,
    // Values that others set since are exactly what has to go.
    ignoreRemoteMapChanges: true,
  });
  doc.transact(() => {
    for (const update of updatesSince) Y.applyUpdate(doc, update);
  }, SINCE);
  const changes: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => changes.push(update));
  while (undo.undoStack.length > 0) undo.undo();
  undo.destroy();
  return changes.length === 0 ? null : Y.mergeUpdates(changes);
}
