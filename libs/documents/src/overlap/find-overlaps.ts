import * as Y from 'yjs';
import { pathOf } from './block-path.ts';
import { compareKey } from './compare-keys.ts';
import { compareLine, textsOf } from './compare-line.ts';
import { linesChangedByBoth } from './line.ts';
import { itemsOf, mergeSides, parentOf, type MergedDocument, type Side } from './merged-document.ts';
import {
  EXCERPT_LENGTH,
  reportOf,
  type Block,
  type Finding,
  type Overlap,
  type OverlapReport,
} from './overlap.ts';

/** Elements nested deeper than this say nothing more to a reader, and would end the stack. */
const EXCERPT_DEPTH = 32;

type SharedType = Y.AbstractType<unknown>;

/** What a side did in one shared type. */
interface Touch {
  inserted: boolean;
  list: boolean;
  readonly keys: Set<string>;
}

type Touches = ReadonlyMap<SharedType, Touch>;

/**
 * What both sides changed since their common base. Yjs merges everything; this tells where the result may be
 * what nobody meant: a number or word that neither wrote, a value that was dropped, an edit inside of what
 * the other side deleted.
 *
 * Symmetric: with `ours` and `theirs` exchanged it reports the same blocks, with these two exchanged. Blocks
 * that only one side changed are never reported. Cost: one load of the document plus the shared types that
 * both sides changed.
 *
 * @param base updates that make up the common base, in order, with the content that was visible then
 * @param ours what the server has since then: updates, or a state
 * @param theirs what a device brings: updates, or a state
 * @throws IncompleteStateError, RefusedUpdateError for updates that were not admitted
 */
export function findOverlaps(
  base: readonly Uint8Array[],
  ours: readonly Uint8Array[],
  theirs: readonly Uint8Array[],
): OverlapReport {
  const merged = mergeSides(base, ours, theirs);
  const touches = { ours: touchesOf(merged, 'ours'), theirs: touchesOf(merged, 'theirs') };
  const overlaps: Overlap[] = [
    ...editsInsideDeleted(merged, touches.ours, 'ours'),
    ...editsInsideDeleted(merged, touches.theirs, 'theirs'),
  ];
  for (const [type, ours] of touches.ours) {
    const theirs = touches.theirs.get(type);
    // Inside of what a side deleted as a whole there is nothing left to compare.
    if (!theirs || deletedAncestor(merged, type) !== null) continue;
    if (ours.list && theirs.list) overlaps.push(...compareLists(merged, type));
    for (const key of ours.keys) if (theirs.keys.has(key)) overlaps.push(...compareKeys(merged, type, key));
  }
  return reportOf(overlaps);
}

function touchesOf(merged: MergedDocument, side: Side): Touches {
  const touches = new Map<SharedType, Touch>();
  const note = (item: Y.Item, inserted: boolean): void => {
    const type = parentOf(item);
    if (type === null) return;
    const touch = touches.get(type) ?? { inserted: false, list: false, keys: new Set<string>() };
    touches.set(type, touch);
    touch.inserted ||= inserted;
    if (item.parentSub === null) touch.list = true;
    else touch.keys.add(item.parentSub);
  };
  for (const item of itemsOf(merged.doc, merged[side].inserted)) note(item, true);
  for (const item of itemsOf(merged.doc, merged[side].deleted)) note(item, false);
  return touches;
}

/** The outermost element around a type, or the type's own, that a side deleted; null when it still stands. */
function deletedAncestor(merged: MergedDocument, type: SharedType): Y.Item | null {
  let found: Y.Item | null = null;
  for (let item = type._item; item !== null;) {
    if (deletedBy(merged, 'ours', item) || deletedBy(merged, 'theirs', item)) found = item;
    item = parentOf(item)?._item ?? null;
  }
  return found;
}

function deletedBy(merged: MergedDocument, side: Side, { id }: Y.Item): boolean {
  return merged[side].deleted.has(id.client, id.clock);
}

/** What `side` wrote into a paragraph, a map, a text that the other side deleted: it vanishes with it. */
function editsInsideDeleted(merged: MergedDocument, touches: Touches, side: Side): Overlap[] {
  const gone = new Set<Y.Item>();
  for (const [type, { inserted }] of touches) {
    const ancestor = inserted ? deletedAncestor(merged, type) : null;
    if (ancestor && !deletedBy(merged, side, ancestor)) gone.add(ancestor);
  }
  return [...gone].map((item): Overlap => {
    const kept = excerpt(textInside(merged, item, side));
    const base = excerpt(textInside(merged, item, 'base'));
    const block = blockOf(item);
    return {
      block,
      kind: 'edit_deleted',
      grade: 'severe',
      base,
      ours: side === 'ours' ? kept : null,
      theirs: side === 'theirs' ? kept : null,
      merged: null,
    };
  });
}

function blockOf(item: Y.Item): Block {
  const parent = parentOf(item);
  if (item.parentSub !== null && parent) return { path: pathOf(parent), line: null, key: item.parentSub };
  const { content } = item;
  return { path: content instanceof Y.ContentType ? pathOf(content.type) : '', line: null, key: null };
}

/** Text below a deleted element, as the base or a side has it. */
function textInside(merged: MergedDocument, root: Y.Item, version: Side | 'base'): string {
  let text = '';
  const visit = (item: Y.Item | null, depth: number): void => {
    if (depth > EXCERPT_DEPTH) return;
    for (let next = item; next !== null && text.length <= EXCERPT_LENGTH; next = next.right) {
      if (next.content instanceof Y.ContentType) visit(next.content.type._start, depth + 1);
      if (next.content instanceof Y.ContentString && showsIn(merged, next, version)) text += next.content.str;
    }
  };
  if (root.content instanceof Y.ContentType) visit(root.content.type._start, 0);
  return text;
}

function showsIn(merged: MergedDocument, item: Y.Item, version: Side | 'base'): boolean {
  const { client, clock } = item.id;
  for (const side of ['ours', 'theirs'] as const) {
    if (merged[side].inserted.has(client, clock)) return side === version;
  }
  const goneSince = deletedBy(merged, 'ours', item) || deletedBy(merged, 'theirs', item);
  if (!goneSince) return !item.deleted;
  return version === 'base' || !deletedBy(merged, version, item);
}

function compareLists(merged: MergedDocument, type: SharedType): Overlap[] {
  const found = new Map<number, Overlap>();
  for (const line of linesChangedByBoth(merged, type)) {
    const finding = compareLine(line);
    if (finding === null) continue;
    const { base, ours, theirs, merged: both } = textsOf(line.units);
    const block = { path: pathOf(type), line: line.isText ? line.number : null, key: null };
    // What is said of a run takes the place of what was said of its first line.
    found.set(line.number, overlapOf(block, finding, { base, ours, theirs, merged: both }));
  }
  return [...found.values()];
}

function compareKeys(merged: MergedDocument, type: SharedType, key: string): Overlap[] {
  const compared = compareKey(merged, type, key);
  if (compared === null) return [];
  return [overlapOf({ path: pathOf(type), line: null, key }, compared.finding, compared.texts)];
}

type Texts = Pick<Overlap, 'base' | 'ours' | 'theirs' | 'merged'>;

function overlapOf(block: Block, finding: Finding, texts: Texts): Overlap {
  const from = excerptStart(texts);
  return {
    block,
    ...finding,
    base: excerpt(texts.base, from),
    ours: excerpt(texts.ours, from),
    theirs: excerpt(texts.theirs, from),
    merged: excerpt(texts.merged, from),
  };
}

/** A little before the first character in which the versions differ, the same in all of them. */
function excerptStart({ base, ours, theirs, merged }: Texts): number {
  const others = [ours ?? '', theirs ?? '', merged ?? ''];
  const text = base ?? '';
  if (Math.max(text.length, ...others.map(({ length }) => length)) <= EXCERPT_LENGTH) return 0;
  let same = 0;
  while (same < text.length && others.every((other) => other[same] === text[same])) same += 1;
  return Math.max(0, same - EXCERPT_LENGTH / 3);
}

function excerpt(text: string, from?: number): string;
function excerpt(text: string | null, from?: number): string | null;
function excerpt(text: string | null, from = 0): string | null {
  if (text === null) return null;
  if (text.length <= EXCERPT_LENGTH) return storable(text);
  const cut = text.slice(from, from + EXCERPT_LENGTH - 2);
  return storable(`${from > 0 ? '…' : ''}${cut}${from + cut.length < text.length ? '…' : ''}`);
}

/**
 * An excerpt is shown to people and stored as JSON, which cannot hold a NUL or half a surrogate pair; the
 * document keeps them.
 */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
