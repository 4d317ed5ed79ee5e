import type { BrokenLink, ConflictStatus } from '@sync/protocol';

/** How many entries a history has, and the hash of the newest ('' for none). */
export interface Anchor {
  readonly entries: string;
  readonly hash: string;
}

/** What is left of a record. */
export interface RecordCustody {
  readonly conflictId: string;
  /** null: there is no row of it. */
  readonly status: ConflictStatus | null;
  /** As it was counted when entries were added; null: nothing was counted. */
  readonly head: Anchor | null;
  readonly found: Anchor;
  /** Entries that say that it was resolved. */
  readonly resolutions: number;
}

/**
 * Compares where the chain ends with what was counted when its entries were added. Pure.
 * @param end the last link that is there: its position and hash
 * @returns null when nothing was cut off and nothing put on
 */
export function verifyEnd(anchor: Anchor | null, end: Anchor): BrokenLink | null {
  const there = BigInt(end.entries);
  const counted = BigInt(anchor?.entries ?? '0');
  if (there < counted) {
    const detail = `the history ends at ${end.entries}; ${counted.toString()} entries were added`;
    return { position: (there + 1n).toString(), conflictId: null, fault: 'entry_missing', detail };
  }
  if (there === counted && end.hash === (anchor?.hash ?? '')) return null;
  const detail =
    anchor === null
      ? 'there is no count of the entries that were added'
      : `the history does not end with the entry that was added last, the ${counted.toString()}.`;
  return { position: end.entries, conflictId: null, fault: 'anchor_altered', detail };
}

/**
 * Checks that every record has its row, and all the entries that were ever added about it. Pure.
 * @returns the first fault, null when all is as it was written
 */
export function verifyCustody(records: readonly RecordCustody[]): BrokenLink | null {
  for (const record of records) {
    const fault = custodyFault(record);
    if (fault === null) continue;
    const [name, detail] = fault;
    return { position: '0', conflictId: record.conflictId, fault: name, detail };
  }
  return null;
}

function custodyFault({
  status,
  head,
  found,
  resolutions,
}: RecordCustody): readonly [BrokenLink['fault'], string] | null {
  if (status === null) return ['record_missing', 'its ConflictRecord does not exist'];
  if (head === null) return ['history_missing', 'the record has no history, and never had one'];
  if (BigInt(found.entries) < BigInt(head.entries))
    return ['history_missing', `${found.entries} of the ${head.entries} entries of the record are there`];
  if (found.entries !== head.entries || found.hash !== head.hash)
    return ['anchor_altered', 'the record’s entries are not those that were counted when they were added'];
  // Older than the history itself: nothing was ever written about it.
  if (head.entries === '0') return null;
  if (resolutions !== (status === 'open' ? 0 : 1))
    return [
      'record_altered',
      `the record is ${status}, its history has ${String(resolutions)} resolutions of it`,
    ];
  return null;
}
