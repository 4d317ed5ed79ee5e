import { isJsonObject, type JsonObject, type JsonValue } from '@sync/domain';
import type { BrokenLink } from '@sync/protocol';
import { hashText } from './hashes.ts';
import type { StoredLink } from './history-store.ts';

/** What the record's row comes to now, to be compared with what the history says it was. */
export interface RecordHashes {
  readonly content: string;
  /** null: not resolved. */
  readonly decision: string | null;
}

/** Where a page begins: behind the link at `position`, whose hash is `hash`. */
export interface ChainStart {
  readonly position: string;
  readonly hash: string;
}

/**
 * Checks a page of the chain: no position is missing, each text still has its hash, each link names the one before it, and the records still are
 * what their entries say. Pure.
 * @returns the first fault, null when all is as it was written
 */
export function verifyChain(
  start: ChainStart,
  links: readonly StoredLink[],
  records: ReadonlyMap<string, RecordHashes>,
): BrokenLink | null {
  let { position, hash } = start;
  for (const link of links) {
    const expected = (BigInt(position) + 1n).toString();
    const fault = linkFault(link, expected, hash) ?? recordFault(link, records);
    if (fault) return fault;
    position = link.position;
    hash = link.hash;
  }
  return null;
}

function linkFault(link: StoredLink, expected: string, previous: string): BrokenLink | null {
  if (link.position !== expected) {
    const detail = `position ${expected} is missing; the next one is ${link.position}`;
    return { position: expected, conflictId: null, fault: 'entry_missing', detail };
  }
  if (hashText(link.text) !== link.hash)
    return brokenAt(link, 'entry_altered', 'the entry is not what was hashed');
  const entry = factsOf(link.text);
  if (entry['previous'] !== previous)
    return brokenAt(link, 'link_broken', 'it does not name the hash of the entry before it');
  if (entry['conflictId'] !== link.conflictId)
    return brokenAt(link, 'entry_altered', 'the entry is about another record than its row says');
  return null;
}

function recordFault(link: StoredLink, records: ReadonlyMap<string, RecordHashes>): BrokenLink | null {
  const record = records.get(link.conflictId);
  if (!record) return brokenAt(link, 'record_missing', 'its ConflictRecord does not exist');
  const entry = factsOf(link.text);
  const facts = entry['facts'];
  if (!isJsonObject(facts)) return brokenAt(link, 'entry_altered', 'the entry has no facts');
  const { content, decision } = facts;
  if (content !== undefined && content !== record.content)
    return brokenAt(link, 'record_altered', 'the record’s content is not what was detected');
  if (decision !== undefined && decision !== record.decision)
    return brokenAt(link, 'record_altered', 'the record’s decision is not the one that was taken');
  return null;
}

function brokenAt(link: StoredLink, fault: BrokenLink['fault'], detail: string): BrokenLink {
  return { position: link.position, conflictId: link.conflictId, fault, detail };
}

/** A text whose hash fits was written by us; one that is no JSON object has no fields. */
function factsOf(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
