/** `@sync/client-react/yjs`: documents in React. */
export { type DocumentInUse, useDocument } from './use-document.ts';
export type { DocumentView } from './shown-document.ts';
export type { Replaced, ReplacedReason } from '@sync/client/yjs';
