import { type ConflictDraft, type DocumentBlock, type JsonObject, readField } from '@sync/domain';
import type { AcceptedWords } from '@sync/protocol';
import type { ContestedField } from './contested-field.ts';

/** The part of a document's record that a suggestion is made from. */
export type DocumentDraft = Pick<ConflictDraft, 'base' | 'ours' | 'theirs' | 'blocks'>;

/** The longest line that an owner compares (`AcceptedWords`). */
const MAX_LINE_LENGTH = 1_000;
/** What stands in an excerpt for something that is no text. */
const OBJECT = '\uFFFC';

/** A line that may be rewritten, and what stands there since the merge. */
interface RewritableBlock {
  readonly block: DocumentBlock;
  readonly merged: string;
}

/**
 * The lines of a document that a person has to look at, with what both sides meant and what the merge made of
 * it. A line of which the record has an excerpt only, that holds more than text, or that stands inside of
 * nested types is nothing to propose words for: its place could not be told.
 */
export function contestedLines({ base, ours, theirs, blocks = [] }: DocumentDraft): ContestedField[] {
  return rewritable(blocks).flatMap(({ block: { name }, merged }) => {
    const sides = [base, ours, theirs].map((side) => textIn(side, name));
    if (!sides.every(isWhole)) return [];
    const [before = '', server = '', device = ''] = sides;
    return [{ field: name, base: before, ours: server, theirs: device, merged }];
  });
}

/** What accepting a suggestion asks the document's owner to write, and where. */
export function acceptedWords(
  { blocks = [] }: DocumentDraft,
  suggestionId: string,
  proposed: JsonObject,
): AcceptedWords {
  const edits = rewritable(blocks).flatMap(({ block: { name, path }, merged }) => {
    const text = readField(proposed, name);
    return typeof text === 'string' ? [{ path, was: merged, text }] : [];
  });
  return { suggestionId, edits };
}

function rewritable(blocks: readonly DocumentBlock[]): RewritableBlock[] {
  return blocks.flatMap((block) => {
    const { name, path, line, grade, merged } = block;
    if (grade !== 'severe' || line === null || merged === null || path.includes('/')) return [];
    const text = withoutBreak(merged);
    const isOnly = blocks.filter((other) => other.name === name).length === 1;
    return isOnly && text.trim() !== '' && isWhole(text) ? [{ block, merged: text }] : [];
  });
}

function textIn(side: JsonObject | null, name: string): string {
  const text = side === null ? null : readField(side, name);
  return typeof text === 'string' ? withoutBreak(text) : '';
}

const withoutBreak = (text: string): string => (text.endsWith('\n') ? text.slice(0, -1) : text);

/**
 * Excerpts begin or end with an ellipsis where they were cut; a line that has one of its own is passed over
 * with them.
 */
function isWhole(text: string): boolean {
  const isCut = text.startsWith('…') || text.endsWith('…');
  return !isCut && text.length <= MAX_LINE_LENGTH && !text.includes(OBJECT) && !text.includes('\ufffd');
}
