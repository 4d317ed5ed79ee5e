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

/**
 * First statement of a batch: lease, watermark and tenants in one round trip. Without `advance` (plain
 * messages) only the lease is checked.
 *
 * @throws LeaseLostError | WatermarkMovedError the transaction must roll back
 */
export async function beginBatch(
  tx: Pick<Tx, 'call'>,
  lease: Lease,
  advance: Advance | undefined,
  tenants: string | undefined,
): Promise<void> {
  const [row] = await tx.call<{ readonly verdict: string }>(
    'sync_inbox_begin',
    'SELECT sync_inbox_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS verdict',
    [
      lease.name,
      lease.holder,
      lease.token,
      advance?.consumer ?? null,
      advance?.stream ?? null,
      advance?.producer ?? null,
      advance?.partition ?? null,
      advance?.epoch ?? null,
      advance?.expected ?? null,
      advance?.number ?? null,
      tenants ?? null,
    ],
  );
  if (row?.verdict === 'lease_lost') throw new LeaseLostError(`Lease ${lease.name} is no longer held`);
  if (row?.verdict !== 'ok') {
    throw new WatermarkMovedError(`Watermark of ${lease.name} is no longer at ${advance?.expected}`);
  }
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
