import type { Batch, ConsumerContext } from './consumer-context.ts';
import type { LaneWork } from './consumer-partition.ts';
import { faultPoint } from './fault-injection.ts';
import { beginBatches, type LaneStep, type WatermarkMovedError } from './inbox-store.ts';
import type { LeaseLostError } from './lease.ts';

/** Why nothing of a lane's batch was written although the transaction committed. */
export type Refusal = LeaseLostError | WatermarkMovedError;

/**
 * Effects and watermarks of all these lanes in one transaction; the watermarks in memory follow. A lane whose
 * lease is lost or whose watermark has moved is left out, and does not hinder the others.
 *
 * @returns what was left out, and why
 * @throws whatever the handler or the database throws: then nothing was written, or nobody knows
 */
export async function commitBatches(
  { database, handle, tenantsOf, metrics, consumer, stream }: ConsumerContext,
  works: readonly LaneWork[],
): Promise<ReadonlyMap<LaneWork, Refusal>> {
  const batches = works.map((work) => batchOf(work, stream.name));
  const steps = works.map((work, at) => stepOf(work, tenantsOf?.(batches[at] as Batch)));
  const { refusals, afterCommit } = await database.transaction(async (tx) => {
    const begun = await beginBatches(tx, steps);
    const granted = batches.filter((_batch, at) => begun[at] === undefined);
    const done = granted.length === 0 ? undefined : await handle(tx, granted);
    faultPoint('batch.handled');
    return { refusals: begun, afterCommit: done };
  });
  faultPoint('batch.committed');
  const leftOut = new Map<LaneWork, Refusal>();
  for (const [at, work] of works.entries()) {
    const refusal = refusals[at];
    if (refusal === undefined) advance(work);
    else leftOut.set(work, refusal);
  }
  afterCommit?.();
  for (const work of works) {
    if (leftOut.has(work)) continue;
    metrics.consumed(consumer, stream.name, work.partition.token, work.messages.length);
  }
  return leftOut;
}

function batchOf({ partition, lane, messages }: LaneWork, stream: string): Batch {
  return { stream, partition: partition.token, producer: lane.producer, epoch: lane.epoch, messages };
}

function stepOf({ partition, lane, messages }: LaneWork, tenants: string | undefined): LaneStep {
  const place = partition.placeOf(lane);
  const number = messages.at(-1)?.number ?? null;
  const isNumbered = place !== undefined && number !== null;
  const advance = isNumbered ? { ...place, expected: lane.watermark, number } : undefined;
  return { lease: partition.lease, advance, tenants };
}

function advance({ lane, messages }: LaneWork): void {
  lane.watermark = messages.at(-1)?.number ?? lane.watermark;
}
