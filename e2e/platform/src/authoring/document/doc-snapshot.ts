import * as Y from 'yjs';

/** A document's Yjs state as one update (v1), base64. The text is `body` inside it. */
export type DocSnapshot = string;

/** Why an update is refused, with the outcome code. */
export interface UpdateFault {
  readonly code: 'update_invalid' | 'update_incomplete' | 'document_too_large';
  readonly message: string;
}

const TEXT = 'body';
/** Of one update; what grows a document faster is pasted content, which belongs into a bundle. */
const MAX_UPDATE_BYTES = 192 * 1024;
/** Of the whole document: as base64 it has to fit into an event of at most 1 MiB. */
const MAX_SNAPSHOT_BYTES = 512 * 1024;

/** A document with its first text. Called once in a document's life: seeding twice would double the text. */
export function seedDocument(text: string): DocSnapshot {
  const doc = new Y.Doc();
  if (text !== '') doc.getText(TEXT).insert(0, text);
  return encode(doc);
}

/**
 * Applies a device's update to a copy: applying bad bytes can throw after it has already changed the document. The
 * bytes must be v1, decode completely, and depend on nothing that the document does not have.
 *
 * @param update base64
 * @returns the new snapshot, or why the update is refused
 */
export function mergeUpdate(snapshot: DocSnapshot, update: string): DocSnapshot | UpdateFault {
  const bytes = Buffer.from(update, 'base64');
  if (bytes.length === 0) return { code: 'update_invalid', message: '/update is empty' };
  if (bytes.length > MAX_UPDATE_BYTES) {
    return { code: 'document_too_large', message: `/update has more than ${MAX_UPDATE_BYTES} bytes` };
  }
  const copy = decode(snapshot);
  try {
    // Decoding first: it finds damaged bytes for 3 µs, before anything is integrated.
    Y.decodeUpdate(bytes);
    Y.applyUpdate(copy, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { code: 'update_invalid', message: `/update is not a Yjs update (v1): ${reason}` };
  }
  if (copy.store.pendingStructs !== null || copy.store.pendingDs !== null) {
    return {
      code: 'update_incomplete',
      message: '/update depends on changes that the document does not have',
    };
  }
  return sized(copy);
}

/** Replaces the text by an edit of the server, which merges with what devices write meanwhile. */
export function rewriteText(snapshot: DocSnapshot, text: string): DocSnapshot | UpdateFault {
  const doc = decode(snapshot);
  const body = doc.getText(TEXT);
  if (readText(body) === text) return snapshot;
  doc.transact(() => {
    body.delete(0, body.length);
    body.insert(0, text);
  });
  return sized(doc);
}

/** The plain text of a document. */
export function textOf(snapshot: DocSnapshot): string {
  return readText(decode(snapshot).getText(TEXT));
}

function readText(body: Y.Text): string {
  return body.toJSON();
}

function sized(doc: Y.Doc): DocSnapshot | UpdateFault {
  const snapshot = encode(doc);
  if (snapshot.length * 0.75 <= MAX_SNAPSHOT_BYTES) return snapshot;
  return {
    code: 'document_too_large',
    message: `the document would have more than ${MAX_SNAPSHOT_BYTES} bytes`,
  };
}

function decode(snapshot: DocSnapshot): Y.Doc {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Buffer.from(snapshot, 'base64'));
  return doc;
}

function encode(doc: Y.Doc): DocSnapshot {
  return Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64');
}
