import { commitBatches } from './commit-batches.ts';
import type { BatchMessage, ConsumerContext } from './consumer-context.ts';
import { BatchRoom, type ConsumerLane } from './consumer-lane.ts';
import type { ConsumerPartition } from './consumer-partition.ts';
import { beginBatches } from './inbox-store.ts';
import { requestReplay } from './replay-client.ts';
import type { ReplayPage } from './wire.ts';

/**
 * Asks the producer of a lane for what is missing, a page of it, and commits that, each batch in a transaction
 * of its own.
 *
 * @throws when the producer does not answer or does not know what it must have published, and whatever
 * committing throws
 */
export async function replayLane(
  context: ConsumerContext,
  partition: ConsumerPartition,
  lane: ConsumerLane,
): Promise<void> {
  const place = partition.placeOf(lane);
  if (place === undefined) return;
  const { nats, metrics, consumer, stream } = context;
  const page = await requestReplay(nats, lane.producer, { ...place, after: lane.watermark });
  if (page.epoch !== lane.epoch) return leaveEpoch(context, partition, lane, page);
  if (page.pruned) await skipPruned(context, partition, lane, page.first);
  let replayed = 0;
  for (const messages of runsAfter(lane.watermark, page)) {
    if (partition.stopped) return;
    const work = { partition, lane, messages };
    const refusal = (await commitBatches(context, [work])).get(work);
    if (refusal !== undefined) throw refusal;
    replayed += messages.length;
  }
  metrics.replayed(consumer, stream.name, replayed);
  const next = lane.waiting[0]?.number ?? Infinity;
  lane.replaying = lane.watermark < page.last && next > lane.watermark + 1;
  if (replayed === 0 && !page.pruned && Number.isFinite(next) && next > lane.watermark + 1) {
    throw new Error(
      `${lane.producer} does not know number ${lane.watermark + 1} that it must have published`,
    );
  }
}

/**
 * The producer has another epoch now: what is missing of the old one is lost for good, which is the same as
 * pruned.
 */
async function leaveEpoch(
  context: ConsumerContext,
  partition: ConsumerPartition,
  lane: ConsumerLane,
  page: ReplayPage,
): Promise<void> {
  if (page.epoch === '') throw new Error(`${lane.producer} has not opened this partition yet`);
  const next = lane.waiting[0]?.number;
  if (typeof next === 'number' && next > lane.watermark + 1) {
    await skipPruned(context, partition, lane, next);
  }
  lane.replaying = false;
}

async function skipPruned(
  { onPruned, database, logger, stream }: ConsumerContext,
  partition: ConsumerPartition,
  lane: ConsumerLane,
  oldest: number,
): Promise<void> {
  const place = partition.placeOf(lane);
  if (place === undefined) return;
  const pruned = { stream: stream.name, producer: lane.producer, partition: place.partition, oldest };
  logger.warn({ ...pruned, epoch: place.epoch }, 'messages are past retention, rebuilding');
  await onPruned({ ...pruned, epoch: place.epoch });
  const advance = { ...place, expected: lane.watermark, number: oldest - 1 };
  const step = { lease: partition.lease, advance, tenants: undefined };
  const [refusal] = await database.transaction((tx) => beginBatches(tx, [step]));
  if (refusal !== undefined) throw refusal;
  lane.watermark = oldest - 1;
}

/** The page's messages after the watermark as batches. @throws Error when one is missing */
function runsAfter(watermark: number, page: ReplayPage): BatchMessage[][] {
  const runs: BatchMessage[][] = [];
  let expected = watermark + 1;
  let room = new BatchRoom();
  for (const { number, payload } of page.messages) {
    if (number < expected) continue;
    if (number !== expected) throw new Error(`Replay skips number ${expected}`);
    expected += 1;
    const message = { number, payload, subject: '' };
    const run = runs.at(-1);
    if (run !== undefined && room.take(payload.length)) {
      run.push(message);
      continue;
    }
    room = new BatchRoom();
    room.take(payload.length);
    runs.push([message]);
  }
  return runs;
}
