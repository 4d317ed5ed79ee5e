import {
  CHAIN_START,
  type ChainFault,
  type ChainPoint,
  endFault,
  entryIn,
  linkFault,
  type Tx,
} from '@sync/postgres';
import type { AuditActor } from '@sync/protocol';
import { actorName } from './audit-entry.ts';
import { type AuditRow, readChain } from './audit-store.ts';

/** What a page of a chain came to. */
export interface VerifiedPage {
  /** Lines that are whole. */
  readonly checked: number;
  readonly broken: ChainFault | null;
  /** The last line that is whole; the start of the page when there is none. */
  readonly end: ChainPoint;
  /** The chain goes on behind this page. */
  readonly hasMore: boolean;
  /** How many lines the chain was given until now. */
  readonly counted: string;
}

/** Checks one page of a tenant's chain, and at its end that nothing was cut off. */
export async function verifyPage(
  tx: Tx,
  tenantId: string,
  after: string,
  limit: number,
): Promise<VerifiedPage> {
  const start = await startAt(tx, tenantId, after);
  const { anchor, rows } = await readChain(tx, tenantId, after, limit);
  const hasMore = rows.length === limit;
  const broken = verifyRows(tenantId, start, rows);
  const whole = broken ? rows.filter(({ position }) => BigInt(position) < BigInt(broken.position)) : rows;
  const end = whole.at(-1) ?? start;
  const cut = broken ?? (hasMore ? null : endFault(anchor, end));
  const counted = anchor?.entries ?? '0';
  return { checked: whole.length, broken: cut, end, hasMore: hasMore && cut === null, counted };
}

/**
 * Checks lines that follow each other: the chain itself, and that the columns say what the hashed text says,
 * because lists are filtered by them. Pure.
 */
export function verifyRows(
  tenantId: string,
  start: ChainPoint,
  rows: readonly AuditRow[],
): ChainFault | null {
  let before = start;
  for (const row of rows) {
    const fault = linkFault(row, before) ?? columnFault(tenantId, row);
    if (fault) return fault;
    before = row;
  }
  return null;
}

function columnFault(tenantId: string, row: AuditRow): ChainFault | null {
  const entry = entryIn(row.text);
  const written = {
    tenantId,
    position: row.position,
    at: row.at,
    operation: row.operation,
    outcome: row.outcome,
  };
  const altered = Object.entries(written).flatMap(([name, value]) => (entry[name] === value ? [] : [name]));
  if (actorName(entry['actor'] as AuditActor) !== row.actor) altered.push('actor');
  if (altered.length === 0) return null;
  const detail = `the columns are not what the entry says: ${altered.join(', ')}`;
  return { position: row.position, fault: 'entry_altered', detail };
}

/** The line before the page: its hash is what the page's first line has to name. */
async function startAt(tx: Tx, tenantId: string, position: string): Promise<ChainPoint> {
  if (position === CHAIN_START.position) return CHAIN_START;
  const { rows } = await readChain(tx, tenantId, (BigInt(position) - 1n).toString(), 1);
  const [line] = rows;
  return { position, hash: line?.position === position ? line.hash : '' };
}
