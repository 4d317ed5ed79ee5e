import { OBJECT, type Line, type Unit } from './line.ts';
import type { Side } from './merged-document.ts';
import { compareFindings, type Finding } from './overlap.ts';

/** The four versions of a line. */
export interface LineTexts {
  readonly base: string;
  readonly ours: string;
  readonly theirs: string;
  readonly merged: string;
}

type Version = keyof LineTexts;

const SEVERE_NUMBER: Finding = { kind: 'same_number', grade: 'severe' };
const SEVERE_DELETED: Finding = { kind: 'edit_deleted', grade: 'severe' };
const SEVERE_TOKEN: Finding = { kind: 'same_token', grade: 'severe' };
const MINOR_TOKEN: Finding = { kind: 'same_token', grade: 'minor' };
const MINOR_BLOCK: Finding = { kind: 'same_block', grade: 'minor' };

/** A word or a number; `0.5`, `12:30`, `2026-11-22`, `5mg` and `well-known` are one each. */
const TOKEN = new RegExp(String.raw`[\p{L}\p{M}\p{N}_]+(?:[.,:/'’-][\p{L}\p{M}\p{N}_]+)*|${OBJECT}`, 'gu');
/**
 * Neither blank nor what ends a sentence: `5.` at the end of one has no unit, and `1.` before an item counts
 * nothing.
 */
const CLOSED = String.raw`(?:\S*[^\s.,;:!?)\]])?`;
const BLANK = String.raw`[^\S\n]`;
/**
 * A number with its comparison or sign, the groups of its digits, and the word behind it: `> 5 mg`, `1 000
 * ml`, `-5 °C`, `5 pills`.
 */
const QUANTITY = new RegExp(
  String.raw`(?<![\p{L}\p{M}\p{N}_])(?:[<>≤≥]${BLANK}*|[~≈±+−-])?\p{N}${CLOSED}(?:${BLANK}\p{N}${CLOSED})*` +
    String.raw`(?:${BLANK}+[^\s(]${CLOSED})?`,
  'gu',
);
const DIGIT = /\p{N}/u;
const SPACE = /^\s$/u;
const WORD_CHAR = /^[\p{L}\p{M}\p{N}_]$/u;

/**
 * The worst that happened to a line that both sides changed, null when they did the same. Symmetric in its
 * sides.
 *
 * Four looks: each token of the base (did both change it?), each token of the merge (is it put together from
 * both sides' work?), each number with what it counts, of the base and of the merge ("5 mg" changed to 10 mg
 * and to 5 g is 10 g), and each piece that one side wrote (is what stood around it deleted by the other?).
 * What is left is two changes at different places of one line.
 */
export function compareLine(line: Line): Finding | null {
  if (line.isRun) return compareRun(line);
  const texts = textsOf(line.units);
  if (!line.isText) return compareElement(line);
  if (texts.ours === texts.theirs && texts.ours === texts.merged) return null;
  const findings = [
    ...baseTokens(line.units).map((span) => compareToken(line.units, span)),
    ...mergedTokens(line.units).map((span) => compareMergedToken(line.units, span)),
    ...quantitiesOf(line.units).map((span) => compareQuantity(line.units, span)),
    orphan(line.units, 'ours'),
    orphan(line.units, 'theirs'),
  ].filter((finding) => finding !== null);
  return findings.toSorted(compareFindings)[0] ?? MINOR_BLOCK;
}

/** Of a run only what went together where its breaks were: everything else was said line by line. */
function compareRun({ units }: Line): Finding | null {
  const joined = mergedTokens(units).filter(({ first, last }) =>
    units.slice(first, last).some(({ from, char }) => from === 'base' && char === '\n'),
  );
  const findings = joined.map((span) => compareMergedToken(units, span));
  return findings.find((finding) => finding?.grade === 'severe') ?? null;
}

export function textsOf(units: readonly Unit[]): LineTexts {
  const textOf = (version: Version): string =>
    units
      .filter((unit) => shows(unit, version))
      .map(({ char }) => char)
      .join('');
  return { base: textOf('base'), ours: textOf('ours'), theirs: textOf('theirs'), merged: textOf('merged') };
}

function shows({ from, goneInOurs, goneInTheirs }: Unit, version: Version): boolean {
  switch (version) {
    case 'base':
      return from === 'base';
    case 'ours':
      return from === 'ours' || (from === 'base' && !goneInOurs);
    case 'theirs':
      return from === 'theirs' || (from === 'base' && !goneInTheirs);
    case 'merged':
      return !goneInOurs && !goneInTheirs;
  }
}

const goneIn = (unit: Unit, side: Side): boolean => (side === 'ours' ? unit.goneInOurs : unit.goneInTheirs);

/** Indices into the units of a line: from the first unit to the last, whatever stands between. */
interface Span {
  readonly first: number;
  readonly last: number;
}

const baseTokens = (units: readonly Unit[]): Span[] => spansOf(units, 'base', TOKEN);
const mergedTokens = (units: readonly Unit[]): Span[] => spansOf(units, 'merged', TOKEN);
const quantitiesOf = (units: readonly Unit[]): Span[] => [
  ...spansOf(units, 'base', QUANTITY),
  ...spansOf(units, 'merged', QUANTITY),
];

function spansOf(units: readonly Unit[], version: Version, pattern: RegExp): Span[] {
  const indices = units.flatMap((unit, index) => (shows(unit, version) ? [index] : []));
  const text = indices.map((index) => units[index]?.char).join('');
  return [...text.matchAll(pattern)].map((match) => ({
    first: indices[match.index] ?? 0,
    last: indices[match.index + match[0].length - 1] ?? 0,
  }));
}

/** What one side did to a token of the base. */
interface TokenChange {
  readonly changed: boolean;
  readonly inserted: boolean;
  readonly deletedAll: boolean;
}

function compareToken(units: readonly Unit[], span: Span): Finding | null {
  const region = regionAround(units, span);
  const ours = changeOf(units, span, region, 'ours');
  const theirs = changeOf(units, span, region, 'theirs');
  if (!ours.changed || !theirs.changed) return null;
  const texts = textsOf(units.slice(region.first, region.last + 1));
  if (texts.ours === texts.theirs && texts.ours === texts.merged) return null;
  if ((ours.deletedAll && !ours.inserted) !== (theirs.deletedAll && !theirs.inserted)) return SEVERE_DELETED;
  if ([texts.base, texts.ours, texts.theirs].some((text) => DIGIT.test(text))) return SEVERE_NUMBER;
  return texts.merged === texts.ours || texts.merged === texts.theirs ? MINOR_TOKEN : SEVERE_TOKEN;
}

/** The token and what was inserted next to it, up to the neighbours in the base. */
function regionAround(units: readonly Unit[], { first, last }: Span): Span {
  let from = first;
  while (from > 0 && units[from - 1]?.from !== 'base') from -= 1;
  let to = last;
  while (to < units.length - 1 && units[to + 1]?.from !== 'base') to += 1;
  return { first: from, last: to };
}

function changeOf(units: readonly Unit[], span: Span, region: Span, side: Side): TokenChange {
  const token = units.slice(span.first, span.last + 1);
  const own = token.filter(({ from }) => from === 'base');
  const deleted = own.filter((unit) => goneIn(unit, side)).length;
  const deletedAll = deleted === own.length;
  const touches = DIGIT.test(own.map(({ char }) => char).join('')) ? isNoSpace : isWordChar;
  const before = units.slice(region.first, span.first).filter(({ from }) => from === side);
  const after = units.slice(span.last + 1, region.last + 1).filter(({ from }) => from === side);
  const beside = deletedAll
    ? [...before, ...after].some(isNoSpace)
    : [before.at(-1), after[0]].some((unit) => unit !== undefined && touches(unit));
  const inserted = beside || token.some(({ from }) => from === side);
  return { changed: inserted || deleted > 0, inserted, deletedAll };
}

/** `-` before a number changes it; before a word it is a dash. */
const isNoSpace = ({ char }: Unit): boolean => !SPACE.test(char);
const isWordChar = ({ char }: Unit): boolean => WORD_CHAR.test(char);

/** A word or number of the merge in which both sides' work meets, and which neither side has. */
function compareMergedToken(units: readonly Unit[], { first, last }: Span): Finding | null {
  const token = units.slice(first, last + 1);
  const changedBy = (side: Side): boolean => token.some((unit) => unit.from === side || goneIn(unit, side));
  if (!changedBy('ours') || !changedBy('theirs')) return null;
  const { ours, theirs, merged } = textsOf(token);
  if (merged === ours || merged === theirs) return null;
  return DIGIT.test(merged) ? SEVERE_NUMBER : MINOR_TOKEN;
}

/** A number and what it counts, of which each side changed something, and which neither side has. */
function compareQuantity(units: readonly Unit[], span: Span): Finding | null {
  const isChanged = (unit: Unit, side: Side): boolean =>
    isNoSpace(unit) && (unit.from === side || (unit.from === 'base' && goneIn(unit, side)));
  const inside = units.slice(span.first, span.last + 1);
  const changedBy = (side: Side): boolean => inside.some((unit) => isChanged(unit, side));
  const isNumberChanged = inside.some(
    (unit) => DIGIT.test(unit.char) && (isChanged(unit, 'ours') || isChanged(unit, 'theirs')),
  );
  if (!isNumberChanged || !changedBy('ours') || !changedBy('theirs')) return null;
  const region = regionAround(units, span);
  const { ours, theirs, merged } = textsOf(units.slice(region.first, region.last + 1));
  return merged === ours || merged === theirs ? null : SEVERE_NUMBER;
}

/**
 * Something that `side` wrote into words that the other side deleted on both ends: it stands alone, or in the
 * other's new text.
 */
function orphan(units: readonly Unit[], side: Side): Finding | null {
  const before = lostNeighbours(units, side);
  const after = lostNeighbours(units.toReversed(), side).reverse();
  const isOrphan = units.some(
    (unit, index) =>
      unit.from === side &&
      !SPACE.test(unit.char) &&
      before[index] !== false &&
      after[index] !== false &&
      (before[index] ?? after[index]) === true,
  );
  return isOrphan ? SEVERE_DELETED : null;
}

/**
 * For each unit whether the last character of the base before it was deleted by the other side alone;
 * undefined where there is none.
 */
function lostNeighbours(units: readonly Unit[], side: Side): (boolean | undefined)[] {
  const other: Side = side === 'ours' ? 'theirs' : 'ours';
  let lost: boolean | undefined;
  return units.map((unit) => {
    if (unit.from === 'base' && unit.char !== '\n') lost = goneIn(unit, other) && !goneIn(unit, side);
    return lost;
  });
}

/**
 * An element of a list is replaced by deleting it and inserting another beside it; when both sides do, both
 * new ones stand there, and when the other only deleted it, what it wanted to be gone has come back.
 */
function compareElement({ units }: Line): Finding | null {
  const replaced = units.some(({ goneInOurs, goneInTheirs }) => goneInOurs && goneInTheirs);
  const inserted = units.filter(({ from }) => from !== 'base');
  if (!replaced || inserted.length === 0) return null;
  const both = (['ours', 'theirs'] as const).every((side) => inserted.some(({ from }) => from === side));
  if (!both) return SEVERE_DELETED;
  return inserted.every(({ char }) => DIGIT.test(char)) ? SEVERE_NUMBER : SEVERE_TOKEN;
}
