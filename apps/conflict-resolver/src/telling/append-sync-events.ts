import { appendToOutbox, eventMessages, syncEvent } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { STREAMS, type SyncEventData, type SyncEventType } from '@sync/protocol';

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
 * Writes sync events into the outbox, in the transaction of what they tell; those of a device in their order.
 */
export async function appendSyncEvents(tx: Tx, tenantId: string, told: readonly ToldEvent[]): Promise<void> {
  const events = told.map(({ type, userId, deviceId, atIso, data }) => {
    const teller = { source: 'conflict-resolver', tenantId, userId, deviceId, timeIso: atIso } as const;
    return { orderKey: `${tenantId}\0${deviceId}`, text: JSON.stringify(syncEvent(type, data, teller)) };
  });
  await appendToOutbox(tx, eventMessages(STREAMS.SYNC_EVENTS, events));
}
