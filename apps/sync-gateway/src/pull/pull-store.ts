import { type Database, retryConflicts } from '@sync/postgres';
import { LIMITS } from '@sync/protocol';
import type { DeviceKey } from '../access/device-bindings.ts';
import type { CursorPosition } from './cursor-token.ts';

/** How much a device has of a document. */
export interface HeldDocument {
  readonly entityType: string;
  readonly entityId: string;
  /** Of the document, as its data shows it. */
  readonly epoch: number;
  /** Valid, and not decoded: as a map it is ten times as large, and a pull may hold 32 of them for 30 s. */
  readonly stateVector: Uint8Array;
}

/** A scope that a pull asks for. */
export interface AskedScope {
  readonly scope: string;
  /** The token as it came; it is answered again while nothing moves. */
  readonly token: string | null;
  /** What is in it; null for a cursor null. */
  readonly position: CursorPosition | null;
  /** Documents that the device holds of it already. */
  readonly documents?: readonly HeldDocument[];
}

/** One scope's page as the database answers it; `pull.sql` describes each field. */
export interface PageRow {
  readonly kind: 'scope';
  readonly scope: string;
  /** Why a full resync starts with this page, or null. */
  readonly reason: string | null;
  /** RemoteDeltas as JSON text, comma-separated, without brackets, in parts. */
  readonly parts: readonly string[];
  /** Places of those parts that are one delta each of a document that the device holds. */
  readonly held: readonly number[];
  readonly item_count: number;
  readonly origin: string;
  readonly epoch: string;
  readonly sequence: string;
  readonly floor: string;
  readonly generation: string;
  readonly has_more: boolean;
  readonly live_count: string;
  readonly hash: string;
}

/** Everything else that a pull has to say. */
export interface NoteRow {
  readonly kind: 'revoked' | 'directive' | 'granted' | 'device' | 'outcomes';
  readonly scope: string | null;
  readonly reason: string | null;
  readonly items: string | null;
  readonly item_count: number | null;
}

export type PullRow = PageRow | NoteRow;

type PartRow =
  { readonly kind: 'part'; readonly items: string } | { readonly kind: 'document'; readonly items: string };

type BarePage = Omit<PageRow, 'parts' | 'held'>;

const PULL_TEXT = 'SELECT * FROM pull($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';
/**
 * Bytes of deltas in one answer: it is cut here although `limit` allows more: JSON text of this size costs a
 * replica some 100 MB while it is compressed.
 */
const MAX_PAGE_BYTES = 33_554_432;

/**
 * One pull in one round trip.
 * @param asked null for everything the user holds
 * @param partition of SYNC_EVENTS, for a full resync that is reported
 */
export async function readPull(
  database: Pick<Database, 'call'>,
  device: DeviceKey,
  asked: readonly AskedScope[] | null,
  limit: number,
  partition: number,
  maxBytes = MAX_PAGE_BYTES,
): Promise<PullRow[]> {
  const positions = (asked ?? []).map(({ position }) => position);
  const values = [
    device.tenantId,
    device.userId,
    device.deviceId,
    asked ? asked.map(({ scope }) => scope) : null,
    positions.map((position) => position?.origin ?? null),
    positions.map((position) => position?.epoch ?? null),
    positions.map((position) => position?.sequence ?? null),
    positions.map((position) => position?.floor ?? null),
    positions.map((position) => position?.generation ?? null),
    limit,
    LIMITS.outcomesPerPull,
    maxBytes,
    partition,
    documentsText(asked ?? []),
  ];
  // The first page of a resync locks the device's rows, and an ack of the same device may lock them in
  // another order.
  const rows = await retryConflicts(() =>
    database.call<BarePage | PartRow | NoteRow>('pull', PULL_TEXT, values),
  );
  return withParts(rows);
}

function documentsText(asked: readonly AskedScope[]): string | null {
  const held = asked.flatMap(({ scope, documents = [] }) =>
    documents.map(({ entityType: type, entityId: id }) => ({ scope, type, id })),
  );
  return held.length === 0 ? null : JSON.stringify(held);
}

function withParts(rows: readonly (BarePage | PartRow | NoteRow)[]): PullRow[] {
  let parts: string[] = [];
  let held: number[] = [];
  return rows.flatMap((row): PullRow[] => {
    if (row.kind === 'part' || row.kind === 'document') {
      if (row.kind === 'document') held.push(parts.length);
      parts.push(row.items);
      return [];
    }
    if (row.kind !== 'scope') return [row];
    const page = { ...row, parts, held };
    parts = [];
    held = [];
    return [page];
  });
}
