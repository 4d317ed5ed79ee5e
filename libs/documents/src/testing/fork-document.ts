import * as Y from 'yjs';
import { findOverlaps } from '../overlap/find-overlaps.ts';
import type { OverlapReport } from '../overlap/overlap.ts';

/** What somebody does to a document. */
export type Edit = (doc: Y.Doc) => void;

/** Two devices that edit one base without each other. */
export function fork(
  base: Edit,
  ours: Edit,
  theirs: Edit,
): { base: Uint8Array; ours: Uint8Array; theirs: Uint8Array } {
  const origin = new Y.Doc();
  origin.clientID = 1;
  base(origin);
  const state = Y.encodeStateAsUpdate(origin);
  const branch = (clientId: number, edit: Edit): Uint8Array => {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, state);
    doc.clientID = clientId;
    const updates: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => updates.push(update));
    edit(doc);
    return updates.length === 0 ? state : Y.mergeUpdates(updates);
  };
  return { base: state, ours: branch(2, ours), theirs: branch(3, theirs) };
}

/** What `findOverlaps` says of the two devices of {@link fork}. */
export function overlapsOf(base: Edit, ours: Edit, theirs: Edit): OverlapReport {
  const sides = fork(base, ours, theirs);
  return findOverlaps([sides.base], [sides.ours], [sides.theirs]);
}

/** The text of a document. */
export const body = (doc: Y.Doc): Y.Text => doc.getText('body');
/** Puts text at the begin. */
export const write =
  (text: string): Edit =>
  (doc) =>
    body(doc).insert(0, text);
/** Replaces the first `from`, as somebody does who selects it and types. */
export const replace =
  (from: string, to: string): Edit =>
  (doc) => {
    const at = body(doc).toJSON().indexOf(from);
    body(doc).delete(at, from.length);
    if (to !== '') body(doc).insert(at, to);
  };
/** Puts text behind the first `anchor`. */
export const insertAfter =
  (anchor: string, text: string): Edit =>
  (doc) =>
    body(doc).insert(body(doc).toJSON().indexOf(anchor) + anchor.length, text);
