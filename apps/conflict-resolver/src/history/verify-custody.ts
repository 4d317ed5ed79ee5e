import type { ChainAnchor } from '@sync/postgres';
import type { BrokenLink, ConflictStatus } from '@sync/protocol';

/** What is left of a record. */
export interface RecordCustody {
  readonly conflictId: string;
  /** null: there is no row of it. */
  readonly status: ConflictStatus | null;
  /** As it was counted when entries were added; null: nothing was counted. */
  readonly head: ChainAnchor | null;
  readonly found: ChainAnchor;
  /** Entries that say that it was resolved. */
  readonly resolutions: number;
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
