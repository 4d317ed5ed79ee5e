import { readJson } from '@sync/domain';
import type { JsonObject } from '@sync/domain';
import type { Link } from '@sync/postgres';
import type { ConflictDecider, ConflictHistoryEntry } from '@sync/protocol';

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

/** What of a draft is hashed, with the hash of the link before it. */
export function fieldsOf({ conflictId, at, what, who, facts }: HistoryDraft): JsonObject {
  return { conflictId, at, what, who, facts };
}

/** A stored link as the API shows it. */
export function entryOf({ text, hash }: Link): ConflictHistoryEntry {
  const entry = readJson(text) as Omit<ConflictHistoryEntry, 'hash'>;
  return { ...entry, hash };
}
