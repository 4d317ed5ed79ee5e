import type { StreamDeclaration } from '@sync/protocol';
import { groupsThatFit } from './first-that-fit.ts';
import type { OutboxRow } from './outbox.ts';
import { partitionOf } from './partition.ts';

/** An event that is to be sent, and what it keeps its order with. */
export interface OrderedEvent {
  readonly orderKey: string;
  /** JSON */
  readonly text: string;
}

/**
 * A consumer takes a message as a whole: smaller ones keep its transactions and everybody's latency short.
 */
const ROOM = { count: 200, bytes: 512 * 1024 } as const;

/**
 * Packs events into outbox rows: all events of an order key go to one partition and keep their order; a row
 * ends at 200 events or 512 KiB, whichever comes first.
 */
export function eventMessages(
  { name: stream, partitions }: StreamDeclaration,
  events: readonly OrderedEvent[],
): OutboxRow[] {
  const byPartition = Map.groupBy(events, ({ orderKey }) => partitionOf(orderKey, partitions));
  return [...byPartition].flatMap(([partition, members]) =>
    [...groupsThatFit(members, ROOM, ({ text }) => Buffer.byteLength(text) + 1)].map((group) => {
      return { stream, partition, payload: `[${group.map(({ text }) => text).join(',')}]` };
    }),
  );
}
