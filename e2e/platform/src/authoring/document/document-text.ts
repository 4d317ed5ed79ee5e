import { drawClientId } from '@sync/documents';
import * as Y from 'yjs';

/** The document's text is `body` inside it. */
const TEXT = 'body';

/**
 * A document's first text, as the server's words. Once in a document's life (the SDK begins a document once):
 * seeding twice would double the text.
 * @returns a Yjs update (v1), base64
 */
export function seedDocument(text: string): string {
  const doc = serverDocument();
  if (text !== '') doc.getText(TEXT).insert(0, text);
  return encode(Y.encodeStateAsUpdate(doc));
}

/**
 * Replaces the text by an edit of the server, which merges with what devices write meanwhile.
 * @param document as `owner.lock` gives it, base64
 * @returns the change alone, base64
 */
export function rewriteText(document: string, text: string): string {
  const doc = decode(document);
  const body = doc.getText(TEXT);
  const before = Y.encodeStateVector(doc);
  if (body.toJSON() === text) return encode(Y.encodeStateAsUpdate(new Y.Doc()));
  doc.transact(() => {
    body.delete(0, body.length);
    body.insert(0, text);
  });
  return encode(Y.encodeStateAsUpdate(doc, before));
}

/** The plain text of a document. */
export function textOf(document: string): string {
  return decode(document).getText(TEXT).toJSON();
}

function decode(document: string): Y.Doc {
  const doc = serverDocument();
  Y.applyUpdate(doc, Buffer.from(document, 'base64'));
  return doc;
}

/** What is written here is told from what devices write by its clientID. */
function serverDocument(): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = drawClientId('server', Math.random);
  return doc;
}

const encode = (update: Uint8Array): string => Buffer.from(update).toString('base64');
