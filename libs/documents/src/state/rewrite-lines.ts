import * as Y from 'yjs';
import { OBJECT } from '../overlap/line.ts';
import { loadDocument } from './document-state.ts';

/** Words that are to stand in a document instead of others. */
export interface LineEdit {
  /** Name of a text at the root of the document. */
  readonly path: string;
  /** What stands there: one line, or several in a row, without the line break at the end. */
  readonly was: string;
  readonly text: string;
}

/** The change, null when everything stands there already; or the edit whose words are not there, or there more than once. */
export type Rewritten =
  { readonly ok: true; readonly update: Uint8Array | null } | { readonly ok: false; readonly edit: number };

/**
 * Rewrites lines of a document under a clientID of its own. Whether `was` still stands there is the check that the words were proposed for
 * this document: all edits are carried out, or none.
 *
 * Only words that differ are written, so that what others do to the rest of a line meanwhile stays where it is.
 *
 * @param clientId a fresh one of the range of whoever answers for the words, see `drawClientId`
 * @throws IncompleteStateError
 */
export function rewriteLines(state: Uint8Array, edits: readonly LineEdit[], clientId: number): Rewritten {
  const doc = loadDocument([state], true);
  doc.clientID = clientId;
  const changes: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => changes.push(update));
  const missing = doc.transact(() => edits.findIndex((edit) => !rewriteLine(doc.getText(edit.path), edit)));
  if (missing >= 0) return { ok: false, edit: missing };
  return { ok: true, update: changes.length === 0 ? null : Y.mergeUpdates(changes) };
}

function rewriteLine(type: Y.Text, { was, text }: LineEdit): boolean {
  const content = contentOf(type);
  const at = onlyPlaceOf(content, was);
  if (at === null) return false;
  if (was === text) return true;
  const { start, end } = differenceOf(was, text);
  const gone = was.length - start - end;
  if (gone > 0) type.delete(at + start, gone);
  const added = text.slice(start, text.length - end);
  if (added !== '') type.insert(at + start, added);
  return true;
}

/** The text with one character for each thing that is none, so that places in it are places in the type. */
function contentOf(type: Y.Text): string {
  const runs = type.toDelta() as readonly { readonly insert: unknown }[];
  return runs.map(({ insert }) => (typeof insert === 'string' ? insert : OBJECT)).join('');
}

/** Where these lines stand, from line break to line break; null when nowhere or in more than one place, as an empty line does. */
function onlyPlaceOf(content: string, lines: string): number | null {
  let found: number | null = null;
  if (lines === '') return null;
  for (let at = content.indexOf(lines); at >= 0; at = content.indexOf(lines, at + 1)) {
    const end = at + lines.length;
    const whole = (at === 0 || content[at - 1] === '\n') && (end === content.length || content[end] === '\n');
    if (!whole) continue;
    if (found !== null) return null;
    found = at;
  }
  return found;
}

/**
 * Whole words that are the same at the begin and at the end, in UTF-16 units. Words, because one that is half a person's and half a model's
 * is nobody's; and so that something is written even where something only has to go: a deletion shows no author.
 */
function differenceOf(was: string, text: string): { readonly start: number; readonly end: number } {
  const shorter = Math.min(was.length, text.length);
  let start = 0;
  while (start < shorter && was[start] === text[start]) start += 1;
  let end = 0;
  while (end < shorter - start && was.at(-1 - end) === text.at(-1 - end)) end += 1;
  while (start > 0 && !isSpace(was[start - 1])) start -= 1;
  while (end > 0 && !isSpace(was.at(-end))) end -= 1;
  return { start, end };
}

const isSpace = (char: string | undefined): boolean => char !== undefined && /^\s$/u.test(char);
