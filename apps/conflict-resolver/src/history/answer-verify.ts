import type { JsonObject } from '@sync/domain';
import type { Database, Tx } from '@sync/postgres';
import { type ConflictVerifyReply, ConflictVerifyRequest } from '@sync/protocol';
import { checked } from '../answering/checked.ts';
import { encodeCursor, positionOf } from '../answering/page-cursor.ts';
import { contentHash } from '../records/conflict-record.ts';
import { loadRows } from '../records/conflict-store.ts';
import { hashJson } from './hashes.ts';
import { readLinks } from './history-store.ts';
import { type ChainStart, type RecordHashes, verifyChain } from './verify-chain.ts';

const checkRequest = checked(ConflictVerifyRequest);

/** Records may be large; this many are in memory at once. */
const RECORDS_AT_ONCE = 20;

/**
 * Walks a page of the tenant's history. One page after the other, by `next`, walks all of it; it ends at the first broken link.
 * @throws RemoteError `schema_invalid` or `cursor_invalid`
 */
export async function answerVerify(database: Database, body: unknown): Promise<ConflictVerifyReply> {
  const { tenantId, cursor, limit } = checkRequest(body);
  const position = positionOf(cursor);
  return database.inTenant(tenantId, async (tx) => {
    const start = await startAt(tx, tenantId, position);
    const links = await readLinks(tx, tenantId, position, limit);
    const records = await hashRecords(tx, tenantId, [...new Set(links.map(({ conflictId }) => conflictId))]);
    const broken = verifyChain(start, links, records);
    const whole = broken ? links.filter((link) => BigInt(link.position) < BigInt(broken.position)) : links;
    const last = links.at(-1);
    return {
      checked: whole.length,
      broken,
      hash: whole.at(-1)?.hash ?? (start.hash === '' ? null : start.hash),
      next: broken === null && links.length === limit && last ? encodeCursor([last.position]) : null,
    };
  });
}

/** The link before the page: its hash is what the page's first link has to name. */
async function startAt(tx: Tx, tenantId: string, position: string): Promise<ChainStart> {
  if (position === '0') return { position, hash: '' };
  const [link] = await readLinks(tx, tenantId, (BigInt(position) - 1n).toString(), 1);
  return { position, hash: link?.position === position ? link.hash : '' };
}

async function hashRecords(
  tx: Tx,
  tenantId: string,
  conflictIds: readonly string[],
): Promise<Map<string, RecordHashes>> {
  const hashes = new Map<string, RecordHashes>();
  for (let from = 0; from < conflictIds.length; from += RECORDS_AT_ONCE) {
    for (const row of await loadRows(tx, tenantId, conflictIds.slice(from, from + RECORDS_AT_ONCE))) {
      const decision = row.decision === null ? null : hashJson(row.decision as JsonObject);
      hashes.set(row.conflictId, { content: contentHash(row), decision });
    }
  }
  return hashes;
}
