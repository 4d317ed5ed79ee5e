import { type VectorClock, counterOf, deviceReplica } from '@sync/vector-clock';

/** How many changes of the device are in an entity with this clock; null: there is none. */
export function ownCount(clock: VectorClock | null, deviceId: string): number {
  return counterOf(clock ?? {}, deviceReplica(deviceId));
}
