/** `@sync/client-testing/yjs`: documents of the server in memory. */
export { keepDocuments } from './keep-documents.ts';
export type { KeepDocumentsOptions } from './keep-documents.ts';
export { documentOf, editDocument } from './documents.ts';
