/**
 * How bad it is that both sides changed something. `severe`: a person should look; the merge holds what
 * nobody wrote, or lacks what somebody did.
 */
export type OverlapGrade = 'none' | 'minor' | 'severe';

/**
 * What both sides did to one block since their common base:
 * - `same_number`: changed one number, or a number and what it counts, and the merge is what neither wrote
 *   ("5 mg" to 10 and to 20 becomes "1020 mg", to 10 mg and to 5 g becomes "10 g").
 * - `edit_deleted`: one side deleted what the other wrote into or set.
 * - `same_key`: set one key of a map, or one attribute, to different values; one of them is lost.
 * - `same_token`: changed one word or one element of a list; `severe` when the merge is neither side's.
 * - `same_block`: changed different parts of one line; always `minor`.
 */
export type OverlapKind = 'same_number' | 'edit_deleted' | 'same_key' | 'same_token' | 'same_block';

/** Where in a document, in terms of the base. */
export interface Block {
  /** Shared types from the root down: `body`, `page/2/0`. Indices count children in the merged document. */
  readonly path: string;
  /** Line of a text, counted from 1; null for a key, an element or a whole type. */
  readonly line: number | null;
  /** Key of a map or attribute; null for everything else. */
  readonly key: string | null;
}

/**
 * The worst that happened to one block. Texts are excerpts of at most {@link EXCERPT_LENGTH}; null where a
 * side has nothing.
 */
export interface Overlap {
  readonly block: Block;
  readonly kind: OverlapKind;
  readonly grade: Exclude<OverlapGrade, 'none'>;
  readonly base: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
  readonly merged: string | null;
}

export interface OverlapReport {
  /** The worst of all, listed or not. */
  readonly grade: OverlapGrade;
  /** Severe ones first, at most {@link MAX_OVERLAPS}. */
  readonly overlaps: readonly Overlap[];
  /** How many more there were. */
  readonly omitted: number;
}

/** UTF-16 units; a block may be a whole chapter without a line break. */
export const EXCERPT_LENGTH = 240;
export const MAX_OVERLAPS = 100;

/** What happened to a block, before it has a place and texts. */
export interface Finding {
  readonly kind: OverlapKind;
  readonly grade: Exclude<OverlapGrade, 'none'>;
}

const KIND_ORDER: readonly OverlapKind[] = [
  'same_number',
  'edit_deleted',
  'same_key',
  'same_token',
  'same_block',
];

/** Orders findings, worst first; the same for both sides' points of view. */
export function compareFindings(a: Finding, b: Finding): number {
  if (a.grade !== b.grade) return a.grade === 'severe' ? -1 : 1;
  return KIND_ORDER.indexOf(a.kind) - KIND_ORDER.indexOf(b.kind);
}

export function reportOf(overlaps: readonly Overlap[]): OverlapReport {
  const sorted = overlaps.toSorted(compareFindings);
  return {
    grade: sorted[0]?.grade ?? 'none',
    overlaps: sorted.slice(0, MAX_OVERLAPS),
    omitted: Math.max(0, sorted.length - MAX_OVERLAPS),
  };
}
