import { canonicalJson, type JsonObject } from '@sync/domain';
import type { ConflictDecider, ConflictHistoryEntry } from '@sync/protocol';
import { hashText } from './hashes.ts';

/** Something that happened to a record. */
export interface HistoryDraft {
  readonly conflictId: string;
  /** RFC 3339 */
  readonly at: string;
  /** In the past tense: `detected`, `resolved`, … */
  readonly what: string;
  readonly who: ConflictDecider;
  readonly facts: JsonObject;
}

/** A link of the chain as it is stored: the text that was hashed, and its hash. */
export interface Link {
  readonly text: string;
  readonly hash: string;
}

/**
 * The next link: the draft with the hash of the link before it, as canonical JSON, hashed.
 * @param previous hash of the tenant's link before it, '' for the first
 */
export function linkOf(draft: HistoryDraft, previous: string): Link {
  const { conflictId, at, what, who, facts } = draft;
  const text = canonicalJson({ conflictId, at, what, who: who as JsonObject, facts, previous });
  return { text, hash: hashText(text) };
}

/** A stored link as the API shows it. */
export function entryOf({ text, hash }: Link): ConflictHistoryEntry {
  const entry = JSON.parse(text) as Omit<ConflictHistoryEntry, 'hash'>;
  return { ...entry, hash };
}
