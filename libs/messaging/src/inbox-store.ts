import type { Database, Tx } from '@sync/postgres';
import { LeaseLostError, type Lease } from './lease.ts';

/** Place of one watermark. */
export interface InboxPlace {
  readonly consumer: string;
  readonly stream: string;
  readonly producer: string;
  readonly partition: number;
  readonly epoch: string;
}

/** An advance of the watermark by compare-and-set. */
export interface Advance extends InboxPlace {
  readonly expected: number;
  readonly number: number;
}

/** Thrown when somebody else advanced the watermark: nothing was written, read it again. */
export class WatermarkMovedError extends Error {
  override readonly name = 'WatermarkMovedError';
}

/** What one lane does in a transaction. */
export interface LaneStep {
  readonly lease: Lease;
  /** Undefined for plain messages, which have no watermark: only the lease is checked. */
  readonly advance: Advance | undefined;
  /** Tenants of its batch as one value of `app.tenant`. */
  readonly tenants: string | undefined;
}

/**
 * First statement of a transaction: the leases, watermarks and tenants of all its lanes in one round trip. A
 * lane whose lease is lost or whose watermark has moved has written nothing and does not hinder the others.
 *
 * @returns per step what forbids to handle its batch, or undefined; same order
 */
export async function beginBatches(
  tx: Pick<Tx, 'call'>,
  steps: readonly LaneStep[],
): Promise<(LeaseLostError | WatermarkMovedError | undefined)[]> {
  const column = <T>(pick: (step: LaneStep) => T | undefined): (T | null)[] =>
    steps.map((step) => pick(step) ?? null);
  const [row] = await tx.call<{ readonly verdicts: readonly string[] }>(
    'sync_inbox_advance',
    'SELECT sync_inbox_advance($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS verdicts',
    [
      column(({ lease }) => lease.name),
      column(({ lease }) => lease.holder),
      column(({ lease }) => lease.token),
      column(({ advance }) => advance?.consumer),
      column(({ advance }) => advance?.stream),
      column(({ advance }) => advance?.producer),
      column(({ advance }) => advance?.partition),
      column(({ advance }) => advance?.epoch),
      column(({ advance }) => advance?.expected),
      column(({ advance }) => advance?.number),
      column(({ tenants }) => tenants),
    ],
  );
  return steps.map(({ lease, advance }, at) => {
    const verdict = row?.verdicts[at];
    if (verdict === 'ok') return undefined;
    if (verdict === 'lease_lost') return new LeaseLostError(`Lease ${lease.name} is no longer held`);
    return new WatermarkMovedError(`Watermark of ${lease.name} is no longer at ${advance?.expected}`);
  });
}

/** All watermarks of one partition, of every producer and epoch seen so far. */
export async function readWatermarks(
  database: Pick<Database, 'call'>,
  { consumer, stream, partition }: Pick<InboxPlace, 'consumer' | 'stream' | 'partition'>,
): Promise<{ producer: string; epoch: string; number: number }[]> {
  const rows = await database.call<{ producer: string; epoch: string; number: string }>(
    'sync_inbox_read',
    'SELECT producer, epoch, number FROM sync_inbox WHERE consumer = $1 AND stream = $2 AND partition = $3',
    [consumer, stream, partition],
  );
  return rows.map((row) => ({ ...row, number: Number(row.number) }));
}
