import { deepEqualJson, isJsonObject, type JsonObject, type JsonValue } from '@sync/domain';
import type { BrokenLink, ConflictDecider, ConflictStatus } from '@sync/protocol';
import { hashText } from './hashes.ts';
import type { StoredLink } from './history-store.ts';

/** What the record's row comes to now, to be compared with what the history says it was. */
export interface RecordEvidence {
  /** Hash of what was detected. */
  readonly content: string;
  /** Hash; null: not resolved. */
  readonly decision: string | null;
  readonly decider: ConflictDecider | null;
  readonly status: ConflictStatus;
  /** The decision's kind. */
  readonly resolution: string | null;
  /** RFC 3339 */
  readonly detectedAt: string;
  readonly resolvedAt: string | null;
  /** The column that lists are filtered by names the fields of the content. */
  readonly fieldsFit: boolean;
}

/** Where a page begins: behind the link at `position`, whose hash is `hash`. */
export interface ChainStart {
  readonly position: string;
  readonly hash: string;
}

/**
 * Checks a page of the chain: no position is missing, each text still has its hash, each link names the one
 * before it, and the records still are what their entries say. Pure.
 * @returns the first fault, null when all is as it was written
 */
export function verifyChain(
  start: ChainStart,
  links: readonly StoredLink[],
  records: ReadonlyMap<string, RecordEvidence>,
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
  const entry = entryIn(link.text);
  if (entry['previous'] !== previous)
    return brokenAt(link, 'link_broken', 'it does not name the hash of the entry before it');
  if (entry['conflictId'] !== link.conflictId)
    return brokenAt(link, 'entry_altered', 'the entry is about another record than its row says');
  return null;
}

function recordFault(link: StoredLink, records: ReadonlyMap<string, RecordEvidence>): BrokenLink | null {
  const record = records.get(link.conflictId);
  if (!record) return brokenAt(link, 'record_missing', 'its ConflictRecord does not exist');
  const entry = entryIn(link.text);
  const facts = entry['facts'];
  if (!isJsonObject(facts)) return brokenAt(link, 'entry_altered', 'the entry has no facts');
  const altered = differences(entry, facts, record);
  return altered.length === 0
    ? null
    : brokenAt(link, 'record_altered', `not as the entry says: ${altered.join(', ')}`);
}

/** Parts of the record that differ from the entry that fixed them. */
function differences(entry: JsonObject, facts: JsonObject, record: RecordEvidence): string[] {
  const { content, decision, kind } = facts;
  const checks: (readonly [string, boolean])[] = [];
  if (content !== undefined)
    checks.push(
      ['content', content === record.content],
      ['detectedAt', sameTime(entry['at'], record.detectedAt)],
      ['fields', record.fieldsFit],
    );
  if (decision !== undefined)
    checks.push(
      ['decision', decision === record.decision],
      ['decider', deepEqualJson(entry['who'], record.decider)],
      ['status', record.status === (kind === 'policy' ? 'auto_resolved' : 'resolved')],
      ['resolution', kind === record.resolution],
      ['resolvedAt', sameTime(entry['at'], record.resolvedAt)],
    );
  return checks.flatMap(([name, fits]) => (fits ? [] : [name]));
}

function sameTime(said: JsonValue | undefined, stored: string | null): boolean {
  return typeof said === 'string' && stored !== null && Date.parse(said) === Date.parse(stored);
}

function brokenAt(link: StoredLink, fault: BrokenLink['fault'], detail: string): BrokenLink {
  return { position: link.position, conflictId: link.conflictId, fault, detail };
}

/** A text whose hash fits was written by us; one that is no JSON object has no fields. */
function entryIn(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
