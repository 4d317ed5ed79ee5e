import type { Database } from '@sync/postgres';
import type { DeviceKey } from '../access/device-bindings.ts';
import type { CursorPosition } from '../pull/cursor-token.ts';

/** One acked cursor. */
export interface AckedCursor {
  readonly scope: string;
  readonly position: CursorPosition;
  /** The device's own digest as of the cursor, if it told one. */
  readonly digest: { readonly count: number; readonly hash: string } | undefined;
}

export interface AckRow {
  readonly kind: 'cursor' | 'resync' | 'mismatch';
  readonly scope: string;
  readonly result: 'advanced' | 'unchanged' | 'stale' | null;
}

/** What a device has stored, and how far the server may go in answering it. */
export interface AckInput {
  readonly cursors: readonly AckedCursor[];
  /** Outcomes the device has stored, by mutationId. */
  readonly outcomes: readonly string[];
  /** Revoked scopes the device has removed. */
  readonly purged: readonly string[];
  /** Full resyncs that may be asked for at most. */
  readonly maxResyncs: number;
  /** Of SYNC_EVENTS. */
  readonly partition: number;
}

const ACK_TEXT = 'SELECT * FROM ack($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';

/** One ack in one round trip; `ack.sql` describes the rows. */
export async function writeAck(
  database: Pick<Database, 'call'>,
  device: DeviceKey,
  { cursors, outcomes, purged, maxResyncs, partition }: AckInput,
): Promise<AckRow[]> {
  return database.call<AckRow>('ack', ACK_TEXT, [
    device.tenantId,
    device.userId,
    device.deviceId,
    cursors.map(({ scope }) => scope),
    cursors.map(({ position }) => position.origin),
    cursors.map(({ position }) => position.epoch),
    cursors.map(({ position }) => position.sequence),
    cursors.map(({ position }) => position.generation),
    cursors.map(({ digest }) => digest?.count ?? null),
    cursors.map(({ digest }) => digest?.hash ?? null),
    outcomes,
    purged,
    maxResyncs,
    partition,
  ]);
}
