import { randomUUID } from 'node:crypto';
import { appendToOutbox, partitionOf } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { STREAMS, type SyncEvent, type SyncEventData, type SyncEventType } from '@sync/protocol';

/** Something the platform is told: whose device it concerns, and what happened. */
export interface ToldEvent<T extends SyncEventType = SyncEventType> {
  readonly type: T;
  readonly userId: string;
  readonly deviceId: string;
  /** RFC 3339 */
  readonly atIso: string;
  readonly data: SyncEventData[T];
}

/**
 * Writes sync events into the outbox, in the transaction of what they tell; one message per device, in the
 * order given.
 */
export async function appendSyncEvents(tx: Tx, tenantId: string, told: readonly ToldEvent[]): Promise<void> {
  const byDevice = new Map<string, SyncEvent[]>();
  for (const { type, userId, deviceId, atIso, data } of told) {
    const events = byDevice.get(deviceId) ?? [];
    events.push({
      specversion: '1.0',
      id: randomUUID(),
      source: 'conflict-resolver',
      type,
      time: atIso,
      datacontenttype: 'application/json',
      tenantid: tenantId,
      userid: userId,
      deviceid: deviceId,
      data,
    });
    byDevice.set(deviceId, events);
  }
  const { name: stream, partitions } = STREAMS.SYNC_EVENTS;
  const messages = [...byDevice].map(([deviceId, events]) => {
    const partition = partitionOf(`${tenantId}\0${deviceId}`, partitions);
    return { stream, partition, payload: JSON.stringify(events) };
  });
  if (messages.length > 0) await appendToOutbox(tx, messages);
}
