/** Yjs documents of `@sync/client`: typed offline, kept on the device, and brought together by the server. */
export { OpenDocument, openDocument } from './open-document.ts';
export type { DocumentStatus, OpenDocumentOptions, Replaced, ReplacedReason } from './open-document.ts';
