import * as Y from 'yjs';
import type { MergedDocument } from './merged-document.ts';

/** What stands for an element that is no text: an image, a nested type, a value of a list. */
export const OBJECT = '\uFFFC';

/** One UTF-16 unit, or one element, of a block, in the order of the merged document. */
export interface Unit {
  readonly char: string;
  readonly from: 'base' | 'ours' | 'theirs';
  /** Deleted by a side; always false for what a side inserted and kept. */
  readonly goneInOurs: boolean;
  readonly goneInTheirs: boolean;
}

/**
 * A line of a text in the base, with everything that either side put into it; in a list without text, an
 * element of the base.
 */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly units: readonly Unit[];
  /** False for an element of a list; a unit then may have several characters. */
  readonly isText: boolean;
  /** Several lines of the base in a row whose breaks a side took away; `number` is the first one's. */
  readonly isRun: boolean;
}

type Provenance = Omit<Unit, 'char'>;
const UNTOUCHED: Provenance = { from: 'base', goneInOurs: false, goneInTheirs: false };

/**
 * The lines of a list that both sides changed. A line ends where one ended in the base; what a side inserts
 * or deletes, line breaks included, belongs to the line where it stands. Lines that were joined come once
 * more as a run, behind its lines: each may look harmless alone.
 */
export function linesChangedByBoth(merged: MergedDocument, type: Y.AbstractType<unknown>): Line[] {
  const reader = new LineReader(isText(type));
  for (let item = type._start; item !== null; item = item.right) {
    for (const [from, to] of segmentsOf(merged, item)) {
      const provenance = provenanceOf(merged, item, from);
      if (provenance !== null) reader.take(item.content, from, to, provenance);
    }
  }
  return reader.finish();
}

/** A root type that nobody has named yet says by its content what it is. */
function isText(type: Y.AbstractType<unknown>): boolean {
  if (type instanceof Y.Text) return true;
  for (let item = type._start; item !== null; item = item.right) {
    if (item.content instanceof Y.ContentString) return true;
  }
  return false;
}

/** Parts of an item that share their provenance, as offsets: Yjs joins neighbours whoever wrote them. */
function segmentsOf({ ours, theirs }: MergedDocument, item: Y.Item): [from: number, to: number][] {
  const { client, clock } = item.id;
  const end = clock + item.length;
  const cuts: number[] = [];
  for (const ranges of [ours.inserted, ours.deleted, theirs.inserted, theirs.deleted]) {
    ranges.pushBoundaries(cuts, client, clock, end);
  }
  if (cuts.length === 0) return [[0, item.length]];
  const points = [...new Set([clock, ...cuts, end])].sort((a, b) => a - b);
  return points.slice(0, -1).map((point, index) => [point - clock, (points[index + 1] ?? end) - clock]);
}

/**
 * Null for what neither the base nor the merge shows: deleted in the base, or by the side that had inserted
 * it.
 */
function provenanceOf({ ours, theirs }: MergedDocument, item: Y.Item, offset: number): Provenance | null {
  const { client } = item.id;
  const clock = item.id.clock + offset;
  const goneInOurs = ours.deleted.has(client, clock);
  const goneInTheirs = theirs.deleted.has(client, clock);
  const from = ours.inserted.has(client, clock)
    ? 'ours'
    : theirs.inserted.has(client, clock)
      ? 'theirs'
      : 'base';
  if (from !== 'base') return item.deleted ? null : { from, goneInOurs: false, goneInTheirs: false };
  if (!goneInOurs && !goneInTheirs) return item.deleted ? null : UNTOUCHED;
  return { from, goneInOurs, goneInTheirs };
}

/**
 * A run of units with one provenance. Most lines are dropped, and only the others are taken apart into units.
 */
interface Piece {
  /** One unit each for text; one element each for others. */
  readonly chars: string | readonly string[];
  readonly provenance: Provenance;
}

/** Cuts a list into lines and keeps those that both sides changed. */
class LineReader {
  private readonly lines: Line[] = [];
  private readonly isText: boolean;
  private number = 1;
  private pieces: Piece[] = [];
  private changedByOurs = false;
  private changedByTheirs = false;
  /** Lines before this one, their breaks gone. */
  private run: Piece[] = [];
  private runFrom = 0;
  private runByOurs = false;
  private runByTheirs = false;

  constructor(isText: boolean) {
    this.isText = isText;
  }

  take(content: Y.Item['content'], from: number, to: number, provenance: Provenance): void {
    this.note(provenance, from < to);
    if (content instanceof Y.ContentString) this.takeText(content.str.slice(from, to), provenance);
    // Formats have no place of their own in the text; that they changed is noted above.
    else if (content.isCountable()) {
      for (let element = from; element < to; element += 1) this.takeElement(content, element, provenance);
    }
  }

  private takeText(text: string, provenance: Provenance): void {
    let from = 0;
    // A line break that a side inserted does not end a line of the base.
    if (provenance.from === 'base') {
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
        this.pieces.push({ chars: text.slice(from, end + 1), provenance });
        this.endLine(provenance.goneInOurs || provenance.goneInTheirs);
        from = end + 1;
        this.note(provenance, from < text.length);
      }
    }
    if (from < text.length) this.pieces.push({ chars: text.slice(from), provenance });
  }

  private takeElement(content: Y.Item['content'], index: number, provenance: Provenance): void {
    const value: unknown = content instanceof Y.ContentAny ? content.arr[index] : undefined;
    const char = typeof value === 'number' || typeof value === 'string' ? String(value) : OBJECT;
    this.note(provenance, true);
    this.pieces.push({ chars: [this.isText ? OBJECT : char], provenance });
    // In a list each element is a block: two that are edited side by side have nothing to do with each other.
    // One that both deleted ends none: what replaces it stands before or behind it, as it was put.
    const isGone = provenance.goneInOurs && provenance.goneInTheirs;
    if (!this.isText && provenance.from === 'base' && !isGone) this.endLine();
  }

  private note({ from, goneInOurs, goneInTheirs }: Provenance, hasContent: boolean): void {
    if (!hasContent) return;
    this.changedByOurs ||= from === 'ours' || goneInOurs;
    this.changedByTheirs ||= from === 'theirs' || goneInTheirs;
  }

  finish(): Line[] {
    this.endLine();
    return this.lines;
  }

  private endLine(isJoined = false): void {
    const { number, isText } = this;
    if (this.changedByOurs && this.changedByTheirs) {
      this.lines.push({ number, isText, isRun: false, units: this.pieces.flatMap(unitsOf) });
    }
    if (isJoined || this.run.length > 0) this.growRun(isJoined);
    this.number += 1;
    this.pieces = [];
    this.changedByOurs = false;
    this.changedByTheirs = false;
  }

  private growRun(goesOn: boolean): void {
    if (this.run.length === 0) this.runFrom = this.number;
    for (const piece of this.pieces) this.run.push(piece);
    this.runByOurs ||= this.changedByOurs;
    this.runByTheirs ||= this.changedByTheirs;
    if (goesOn) return;
    if (this.runByOurs && this.runByTheirs) {
      this.lines.push({
        number: this.runFrom,
        isText: true,
        isRun: true,
        units: this.run.flatMap(unitsOf),
      });
    }
    this.run = [];
    this.runByOurs = false;
    this.runByTheirs = false;
  }
}

function unitsOf({ chars, provenance }: Piece): Unit[] {
  return Array.from({ length: chars.length }, (_unused, index) => ({
    char: chars[index] ?? '',
    ...provenance,
  }));
}
