import * as Y from 'yjs';
import { IdRanges } from '../overlap/id-ranges.ts';
import type { StateVector } from '../state/state-vector.ts';
import { readUpdate, type UpdateOutline } from './read-update.ts';
import { isSameValue } from './same-value.ts';
import { structsIn, type WrittenContent, type WrittenStruct } from './written-content.ts';

/** Clocks of a clientID, from `from` (inclusive) to `to` (exclusive). */
interface ClockRange {
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

/**
 * What an update says again of clocks that the document has:
 * - `same`: nothing else than the document.
 * - `other`: something else, or the same elsewhere, under `client`. Two writers, or two lives of one, share a
 *   clientID.
 * - `gone`: it was deleted and is not there to be compared with, and the update does not delete it as well.
 */
export type Repeated =
  { readonly kind: 'same' | 'gone' } | { readonly kind: 'other'; readonly client: number };

/**
 * Compares what an update repeats with what was written, clock by clock, however either is cut into structs:
 * the content, and what it stands behind and before. Nothing is compared where one side has only the length
 * of something that was deleted.
 *
 * @param known how far the document reaches
 * @param written the document; then, for what is gone from it, what its log still has
 */
export function compareRepeated(
  update: Uint8Array,
  known: StateVector,
  written: readonly WrittenContent[],
  outline: UpdateOutline = readUpdate(update),
): Repeated {
  let gone = repeatedRanges(outline, known);
  const sent = new Map(outline.runs.map((run) => [run.client, run]));
  for (const [step, content] of written.entries()) {
    const left: ClockRange[] = [];
    for (const range of gone) {
      const run = sent.get(range.client);
      const mine = run ? structsIn(update, run, range.from, range.to) : [];
      const theirs = content.structsOf(range.client, range.from, range.to);
      const found = compareRange(range, mine, theirs);
      if (found === null) return { kind: 'other', client: range.client };
      left.push(...found);
    }
    gone = step === 0 ? withoutDeleted(left, outline) : left;
    if (gone.length === 0) return { kind: 'same' };
  }
  return { kind: 'gone' };
}

function repeatedRanges({ runs }: UpdateOutline, known: StateVector): ClockRange[] {
  return runs.flatMap(({ client, from, to }) => {
    const until = Math.min(to, known.get(client) ?? 0);
    return from < until ? [{ client, from, to: until }] : [];
  });
}

/** @returns what is gone on their side; null when the sides differ */
function compareRange(
  { client, from, to }: ClockRange,
  mine: readonly WrittenStruct[],
  theirs: readonly WrittenStruct[],
): ClockRange[] | null {
  const gone: ClockRange[] = [];
  let [own, other] = [0, 0];
  for (let at = from; at < to;) {
    while (endOf(mine[own]) <= at) own += 1;
    while (endOf(theirs[other]) <= at) other += 1;
    const [one, two] = [mine[own], theirs[other]];
    const isMissing = two === undefined || two.id.clock > at;
    const until = Math.min(endOf(one), isMissing ? (two?.id.clock ?? to) : endOf(two), to);
    const found = isMissing ? 'gone' : one === undefined ? 'same' : compareStructs(one, two, at, until);
    if (found === 'other') return null;
    if (found === 'gone') gone.push({ client, from: at, to: until });
    at = until;
  }
  return gone;
}

const endOf = (struct: WrittenStruct | undefined): number =>
  struct === undefined ? Infinity : struct.id.clock + struct.length;

function compareStructs(
  mine: WrittenStruct,
  theirs: WrittenStruct,
  from: number,
  to: number,
): 'same' | 'gone' | 'other' {
  // What was inside of something deleted leaves nothing but its length.
  if (!(mine instanceof Y.Item)) return 'same';
  if (!(theirs instanceof Y.Item)) return mine.content instanceof Y.ContentDeleted ? 'same' : 'gone';
  if (!standsAlike(mine, theirs, from)) return 'other';
  if (mine.content instanceof Y.ContentDeleted) return 'same';
  if (theirs.content instanceof Y.ContentDeleted) return 'gone';
  return hasSameContent(mine, theirs, from, to) ? 'same' : 'other';
}

/**
 * Whether both stand behind the same, before the same, or else in the same, seen from one of their clocks.
 */
function standsAlike(mine: Y.Item, theirs: Y.Item, clock: number): boolean {
  const [behind, otherBehind] = [originAt(mine, clock), originAt(theirs, clock)];
  if (!isSameId(behind, otherBehind) || !isSameId(mine.rightOrigin, theirs.rightOrigin)) return false;
  if (behind !== null || mine.rightOrigin !== null) return true;
  return isSameParent(mine, theirs) && mine.parentSub === theirs.parentSub;
}

type Id = Pick<Y.ID, 'client' | 'clock'>;

function originAt({ id, origin }: Y.Item, clock: number): Id | null {
  return clock > id.clock ? { client: id.client, clock: clock - 1 } : origin;
}

const isSameId = (one: Id | null, two: Id | null): boolean =>
  one === two || (one?.client === two?.client && one?.clock === two?.clock);

/** Read from bytes, a parent is the name of a root or an id. */
function isSameParent(mine: Y.Item, theirs: Y.Item): boolean {
  const [one, two] = [mine.parent, theirs.parent] as unknown as (string | Id | null)[];
  if (typeof one === 'string' || typeof two === 'string') return one === two;
  return isSameId(one ?? null, two ?? null);
}

function hasSameContent(mine: Y.Item, theirs: Y.Item, from: number, to: number): boolean {
  const [one, two] = [mine.content, theirs.content];
  if (one.getRef() !== two.getRef()) return false;
  const [at, there] = [from - mine.id.clock, from - theirs.id.clock];
  const length = to - from;
  if (one instanceof Y.ContentString && two instanceof Y.ContentString)
    return isSameText(one.str.slice(at, at + length), two.str.slice(there, there + length));
  return isSameValue(valuesOf(one, at, length), valuesOf(two, there, length));
}

/** Who writes into the middle of a surrogate pair makes two U+FFFD of it. */
function isSameText(one: string, two: string): boolean {
  if (one === two) return true;
  const isHalf = (a: string, b: string): boolean => a === '\uFFFD' && /[\uD800-\uDFFF]/.test(b);
  for (let at = 0; at < one.length; at += 1) {
    const [a = '', b = ''] = [one[at], two[at]];
    if (a !== b && !isHalf(a, b) && !isHalf(b, a)) return false;
  }
  return true;
}

function valuesOf(content: Y.Item['content'], from: number, length: number): unknown[] {
  if (content instanceof Y.ContentFormat) return [content.key, content.value];
  if (content instanceof Y.ContentType) {
    const { type } = content;
    return [
      type.constructor,
      'nodeName' in type ? type.nodeName : null,
      'hookName' in type ? type.hookName : null,
    ];
  }
  return content.getContent().slice(from, from + length);
}

/** What the update deletes itself says nothing that could be lost. */
function withoutDeleted(ranges: readonly ClockRange[], { deletes }: UpdateOutline): ClockRange[] {
  if (ranges.length === 0) return [];
  const deleted = new IdRanges();
  for (let at = 0; at < deletes.length; at += 3) {
    const [client = 0, from = 0, length = 0] = [deletes[at], deletes[at + 1], deletes[at + 2]];
    deleted.add(client, from, from + length);
  }
  return ranges.flatMap(({ client, from, to }) => {
    const cuts = [from, to];
    deleted.pushBoundaries(cuts, client, from, to);
    cuts.sort((a, b) => a - b);
    return cuts.flatMap((cut, index): ClockRange[] => {
      const next = cuts[index + 1] ?? cut;
      return cut === next || deleted.has(client, cut) ? [] : [{ client, from: cut, to: next }];
    });
  });
}
