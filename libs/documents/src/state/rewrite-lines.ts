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

/**
 * The change, null when everything stands there already; or the edit whose words are not there, or there more
 * than once.
 */
export type Rewritten =
  { readonly ok: true; readonly update: Uint8Array | null } | { readonly ok: false; readonly edit: number };

/**
 * Rewrites lines of a document under a clientID of its own. Whether `was` still stands there is the check
 * that the words were proposed for this document: all edits are carried out, or none.
 *
 * Only words that differ are written, so that what others do to the rest of a line meanwhile stays where it
 * is.
 *
 * @param clientId a fresh one of the range of whoever answers for the words, see `drawClientId`
 * @throws IncompleteStateError
 */
export function rewriteLines(state: Uint8Array, edits: readonly LineEdit[], clientId: number): Rewritten {
  const doc = loadDocument([state], true);
  doc.clientID = clientId;
  const changes: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => changes.push(update));
  const found = placesOf(doc, edits);
  if (!Array.isArray(found)) return found;
  // From the back: what is written moves nothing that is still to be written.
  doc.transact(() => {
    for (const { at, edit } of found.toSorted((a, b) => b.at - a.at))
      rewriteLine(doc.getText(edit.path), at, edit);
  });
  return { ok: true, update: changes.length === 0 ? null : Y.mergeUpdates(changes) };
}

interface Place {
  readonly at: number;
  readonly edit: LineEdit;
}

/**
 * Where each edit belongs, in the document as it is, before anything is written: found one after the other,
 * the words of one edit could be taken for the line that another was made for.
 */
function placesOf(doc: Y.Doc, edits: readonly LineEdit[]): Place[] | (Rewritten & { ok: false }) {
  const places: Place[] = [];
  for (const [index, edit] of edits.entries()) {
    const at = onlyPlaceOf(contentOf(doc.getText(edit.path)), edit.was);
    if (at === null || places.some((other) => touches(other, { at, edit })))
      return { ok: false, edit: index };
    places.push({ at, edit });
  }
  return places;
}

function touches(one: Place, other: Place): boolean {
  const isBehind = (a: Place, b: Place): boolean => a.at > b.at + b.edit.was.length;
  return one.edit.path === other.edit.path && !isBehind(one, other) && !isBehind(other, one);
}

function rewriteLine(type: Y.Text, at: number, { was, text }: LineEdit): void {
  if (was === text) return;
  const { start, end } = differenceOf(was, text);
  const gone = was.length - start - end;
  if (gone > 0) type.delete(at + start, gone);
  const added = text.slice(start, text.length - end);
  if (added !== '') type.insert(at + start, added);
}

/**
 * The text with one character for each thing that is none, so that places in it are places in the type.
 * `toDelta` was the alternative: it leaves out values of a list, which a device can put into a text.
 */
function contentOf(type: Y.Text): string {
  let content = '';
  for (let item = type._start; item !== null; item = item.right) {
    if (item.deleted || !item.countable) continue;
    content += item.content instanceof Y.ContentString ? item.content.str : OBJECT.repeat(item.length);
  }
  return content;
}

/**
 * Where these lines stand, from line break to line break; null when nowhere or in more than one place, as an
 * empty line does.
 */
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
 * Whole words that are the same at the begin and at the end, in UTF-16 units. Words, because one that is half
 * a person's and half a model's is nobody's; and so that something is written even where something only has
 * to go: a deletion shows no author.
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
