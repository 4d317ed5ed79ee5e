import type { FaultPlace } from '@sync/protocol';

/** A process of the stack and a place in it where it is killed. */
export interface CrashTarget {
  readonly service: string;
  readonly place: FaultPlace;
}

/** Every place between a mutation's arrival and its last effect, in the order in which a push comes by. */
export const CRASH_TARGETS: readonly CrashTarget[] = [
  { service: 'sync-gateway', place: 'push.received' },
  { service: 'sync-gateway', place: 'push.decided' },
  { service: 'learning', place: 'push.requested' },
  { service: 'learning', place: 'push.written' },
  { service: 'learning', place: 'push.committed' },
  { service: 'learning', place: 'relay.published' },
  { service: 'sync-gateway', place: 'push.settled' },
  { service: 'sync-gateway', place: 'push.completed' },
  { service: 'sync-gateway', place: 'relay.published' },
  { service: 'delta-projector', place: 'batch.handled' },
  { service: 'delta-projector', place: 'batch.committed' },
  { service: 'delta-projector', place: 'relay.published' },
  { service: 'sync-gateway', place: 'batch.handled' },
  { service: 'sync-gateway', place: 'batch.committed' },
  { service: 'conflict-resolver', place: 'batch.handled' },
  { service: 'conflict-resolver', place: 'batch.committed' },
  { service: 'conflict-resolver', place: 'relay.published' },
];
