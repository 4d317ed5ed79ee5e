/**
 * Differences of texts for people: whole lines first, and inside of what changed word by word. The longest
 * common subsequence is that of node-diff3 (Hunt and McIlroy, 1976), as is the three-way merge (Khanna,
 * Kunal and Pierce, "A Formal Investigation of Diff3", 2007).
 */
import { diff3Merge, diffIndices } from 'node-diff3';

export interface Segment {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
}

/** It may take the square of what is compared: more than so many lines or words are not looked into. */
const MAX_PIECES = 2_000;

/**
 * What has to be taken out of `before` and put in to get `after`, in order of the text.
 * Without the added segments it is `before`, without the removed ones `after`.
 */
export function diffTexts(before: string, after: string): Segment[] {
  const lines = compare(linesOf(before), linesOf(after));
  const segments = lines.flatMap(({ same, removed, added }) => [
    { kind: 'same' as const, text: same.join('') },
    ...diffWords(removed.join(''), added.join('')),
  ]);
  return joined(segments);
}

function diffWords(before: string, after: string): Segment[] {
  return withoutIslands(compare(wordsOf(before), wordsOf(after))).flatMap(({ same, removed, added }) => [
    { kind: 'same' as const, text: same.join('') },
    { kind: 'removed' as const, text: removed.join('') },
    { kind: 'added' as const, text: added.join('') },
  ]);
}

/** Changes with nothing but space between them are one: word after word would alternate and not be read. */
function withoutIslands(hunks: readonly Hunk[]): Hunk[] {
  const all: Hunk[] = [];
  for (const { same, removed, added } of hunks) {
    const last = all.at(-1);
    const isIsland = same.join('').trim() === '' && removed.length + added.length > 0;
    if (!last || !isIsland || last.removed.length + last.added.length === 0) {
      all.push({ same, removed, added });
    } else {
      const between = [...same];
      all[all.length - 1] = {
        same: last.same,
        removed: [...last.removed, ...between, ...removed],
        added: [...last.added, ...between, ...added],
      };
    }
  }
  return all;
}

/**
 * Both changes of a text in one.
 * @returns null where they meet, or where there is too much to compare
 */
export function combineTexts(base: string, one: string, other: string): string | null {
  for (const split of [linesOf, wordsOf]) {
    const [middle, left, right] = [split(base), split(one), split(other)];
    if (Math.max(middle.length, left.length, right.length) > MAX_PIECES) return null;
    const regions = diff3Merge(left, middle, right, {}) as Region[];
    if (regions.every(({ ok }) => ok)) return regions.flatMap(({ ok = [] }) => ok).join('');
  }
  return null;
}

interface Region {
  /** Undefined where both have changed the same. */
  readonly ok?: readonly string[];
}

/** A run of pieces that both have, then what one has and the other has instead. */
interface Hunk {
  readonly same: readonly string[];
  readonly removed: readonly string[];
  readonly added: readonly string[];
}

interface Difference {
  readonly buffer1: readonly [start: number, length: number];
  readonly buffer2Content: readonly string[];
}

function compare(before: readonly string[], after: readonly string[]): Hunk[] {
  const start = commonLength(before, after);
  const left = before.slice(start);
  const right = after.slice(start);
  const end = commonLength(left.toReversed(), right.toReversed());
  const [removed, added] = [left.slice(0, left.length - end), right.slice(0, right.length - end)];
  const hunks: Hunk[] = [{ same: before.slice(0, start), removed: [], added: [] }];
  if (Math.max(removed.length, added.length) > MAX_PIECES) hunks.push({ same: [], removed, added });
  else hunks.push(...hunksOf(removed, added));
  return [...hunks, { same: left.slice(left.length - end), removed: [], added: [] }];
}

function hunksOf(before: string[], after: string[]): Hunk[] {
  let from = 0;
  const hunks = (diffIndices(before, after) as Difference[]).map(({ buffer1, buffer2Content }) => {
    const [at, length] = buffer1;
    const same = before.slice(from, at);
    from = at + length;
    return { same, removed: before.slice(at, from), added: buffer2Content };
  });
  return [...hunks, { same: before.slice(from), removed: [], added: [] }];
}

function commonLength(one: readonly string[], other: readonly string[]): number {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one[length] === other[length]) length += 1;
  return length;
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Scripts that put no spaces between words, of which each character counts. */
const DENSE = '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}';
/** Times, dates and amounts are words, too. */
const WORD = new RegExp(`\\p{N}+(?:[.,:/-]\\p{N}+)*|(?:(?![${DENSE}])[\\p{L}\\p{M}\\p{N}_])+|\\s+|[^]`, 'gu');

function wordsOf(text: string): string[] {
  return text.match(WORD) ?? [];
}

function joined(segments: readonly Segment[]): Segment[] {
  const all: Segment[] = [];
  for (const { kind, text } of segments) {
    if (text === '') continue;
    const last = all.at(-1);
    if (last?.kind === kind) all[all.length - 1] = { kind, text: last.text + text };
    else all.push({ kind, text });
  }
  return all;
}
