import { randomUUID } from 'node:crypto';
import { cloudEvent, type SyncEvent, type SyncEventData, type SyncEventType } from '@sync/protocol';

/** Who tells of something, and whom it concerns. */
export interface Teller {
  /** As it is called in the subjects of its messages. */
  readonly source: 'sync-gateway' | 'delta-projector' | 'conflict-resolver' | 'device-health';
  readonly tenantId: string;
  readonly userId?: string;
  readonly deviceId?: string;
  /** RFC 3339; now, unless it is given. */
  readonly timeIso?: string;
  /** A new one, unless it is given. */
  readonly id?: string;
}

/** A sync event as it is sent. */
export function syncEvent<T extends SyncEventType>(
  type: T,
  data: SyncEventData[T],
  { source, tenantId, userId, deviceId, timeIso = new Date().toISOString(), id = randomUUID() }: Teller,
): SyncEvent<T> {
  return {
    ...cloudEvent({ id, source, type, timeIso, tenantId }),
    ...(userId !== undefined && { userid: userId }),
    ...(deviceId !== undefined && { deviceid: deviceId }),
    data,
  };
}
