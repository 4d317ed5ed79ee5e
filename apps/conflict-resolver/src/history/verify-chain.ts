import { deepEqualJson, isJsonObject, type JsonObject, type JsonValue } from '@sync/domain';
import { type ChainPoint, entryIn, linkFault } from '@sync/postgres';
import type { BrokenLink, ConflictDecider, ConflictStatus } from '@sync/protocol';
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

/**
 * Checks a page of the chain: no position is missing, each text still has its hash, each link names the one
 * before it, and the records still are what their entries say. Pure.
 * @returns the first fault, null when all is as it was written
 */
export function verifyChain(
  start: ChainPoint,
  links: readonly StoredLink[],
  records: ReadonlyMap<string, RecordEvidence>,
): BrokenLink | null {
  let before = start;
  for (const link of links) {
    const fault = linkFault(link, before);
    // What is missing has no record that could be named.
    if (fault) return { ...fault, conflictId: fault.fault === 'entry_missing' ? null : link.conflictId };
    const broken = recordFault(link, records);
    if (broken) return broken;
    before = link;
  }
  return null;
}

function recordFault(link: StoredLink, records: ReadonlyMap<string, RecordEvidence>): BrokenLink | null {
  const entry = entryIn(link.text);
  if (entry['conflictId'] !== link.conflictId)
    return brokenAt(link, 'entry_altered', 'the entry is about another record than its row says');
  const record = records.get(link.conflictId);
  if (!record) return brokenAt(link, 'record_missing', 'its ConflictRecord does not exist');
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
