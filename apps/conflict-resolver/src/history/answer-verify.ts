import {
  CHAIN_START,
  type ChainFault,
  type ChainPoint,
  type Database,
  endFault,
  type Tx,
} from '@sync/postgres';
import { type BrokenLink, type ConflictVerifyReply, ConflictVerifyRequest } from '@sync/protocol';
import { checked } from '../answering/checked.ts';
import { decodeCursor, encodeCursor, POSITION, UUID } from '../answering/page-cursor.ts';
import { readAnchored, readCustody, readEvidence } from './custody-store.ts';
import { readLinks, type StoredLink } from './history-store.ts';
import { type RecordEvidence, verifyChain } from './verify-chain.ts';
import { verifyCustody } from './verify-custody.ts';

const checkRequest = checked(ConflictVerifyRequest);

/** Records may be large; this many are in memory at once. */
const RECORDS_AT_ONCE = 20;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** Where the next page goes on: first through the entries, then through the records. */
type Place =
  | { readonly walk: 'entries'; readonly position: string }
  | { readonly walk: 'records'; readonly after: string };

/**
 * Walks a page of the tenant's history, and at its end the tenant's records: a record whose entries are gone
 * is not met on the chain. One page after the other, by `next`, walks all of it; it ends at the first fault.
 * @throws RemoteError `schema_invalid` or `cursor_invalid`
 */
export async function answerVerify(database: Database, body: unknown): Promise<ConflictVerifyReply> {
  const { tenantId, cursor, limit } = checkRequest(body);
  const place = placeOf(cursor);
  return database.inTenant(tenantId, (tx) =>
    place.walk === 'entries'
      ? walkEntries(tx, tenantId, place.position, limit)
      : walkRecords(tx, tenantId, place.after, limit, { checked: 0, hash: null }),
  );
}

async function walkEntries(
  tx: Tx,
  tenantId: string,
  position: string,
  limit: number,
): Promise<ConflictVerifyReply> {
  const start = await startAt(tx, tenantId, position);
  const { anchor, links } = await readAnchored(tx, tenantId, position, limit);
  const records = await evidenceOf(tx, tenantId, links);
  const last = links.at(-1);
  const ended = links.length < limit;
  const end = last ?? start;
  const broken = verifyChain(start, links, records) ?? (ended ? recordless(endFault(anchor, end)) : null);
  const whole = broken ? links.filter((link) => BigInt(link.position) < BigInt(broken.position)) : links;
  const seen = {
    checked: whole.length,
    hash: whole.at(-1)?.hash ?? (start.hash === '' ? null : start.hash),
  };
  if (broken) return { ...seen, records: 0, broken, next: null };
  if (!ended) return { ...seen, records: 0, broken, next: encodeCursor(['entries', end.position]) };
  return walkRecords(tx, tenantId, FIRST_ID, limit, seen);
}

async function walkRecords(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
  seen: Pick<ConflictVerifyReply, 'checked' | 'hash'>,
): Promise<ConflictVerifyReply> {
  const found = await readCustody(tx, tenantId, after, limit);
  const broken = verifyCustody(found);
  const whole = broken ? found.findIndex(({ conflictId }) => conflictId === broken.conflictId) : found.length;
  const last = found.at(-1);
  const more = broken === null && found.length === limit && last !== undefined;
  return {
    ...seen,
    records: whole,
    broken,
    next: more ? encodeCursor(['records', last.conflictId]) : null,
  };
}

/** The link before the page: its hash is what the page's first link has to name. */
async function startAt(tx: Tx, tenantId: string, position: string): Promise<ChainPoint> {
  if (position === CHAIN_START.position) return CHAIN_START;
  const [link] = await readLinks(tx, tenantId, (BigInt(position) - 1n).toString(), 1);
  return { position, hash: link?.position === position ? link.hash : '' };
}

/** The end of a chain is about no record. */
function recordless(fault: ChainFault | null): BrokenLink | null {
  return fault && { ...fault, conflictId: null };
}

async function evidenceOf(
  tx: Tx,
  tenantId: string,
  links: readonly StoredLink[],
): Promise<Map<string, RecordEvidence>> {
  const conflictIds = [...new Set(links.map(({ conflictId }) => conflictId))];
  const records = new Map<string, RecordEvidence>();
  for (let from = 0; from < conflictIds.length; from += RECORDS_AT_ONCE) {
    const read = await readEvidence(tx, tenantId, conflictIds.slice(from, from + RECORDS_AT_ONCE));
    for (const [conflictId, evidence] of read) records.set(conflictId, evidence);
  }
  return records;
}

function placeOf(cursor: string | null): Place {
  if (cursor === null) return { walk: 'entries', position: '0' };
  const [walk = '', at = ''] = decodeCursor(cursor, 2, (part, place) =>
    place === 0 ? ['entries', 'records'].includes(part) : POSITION.test(part) || UUID.test(part),
  );
  if (walk === 'records' && UUID.test(at)) return { walk, after: at };
  return { walk: 'entries', position: POSITION.test(at) ? at : '0' };
}
