/** VectorClock semantics (F06, frozen): types, order, merge, increment, canonical form and validation. */
export { compareCodePoints } from './code-point-order.ts';
export {
  FOLDED_REPLICA,
  MAX_COUNTED_ENTRIES,
  countChange,
  dotIn,
  existingPart,
  hasSeenDot,
  isOvertaken,
} from './count-change.ts';
export type { ChangeDot } from './count-change.ts';
export { parseClock } from './parse-clock.ts';
export type { ParsedClock } from './parse-clock.ts';
export { MAX_REPLICA_ID_LENGTH, deviceReplica, isReplicaId, serviceReplica } from './replica-id.ts';
export type { ReplicaId } from './replica-id.ts';
export {
  EMPTY_CLOCK,
  MAX_CLOCK_ENTRIES,
  canonicalClockJson,
  clockSize,
  compareClocks,
  containsClock,
  containsDot,
  counterOf,
  incrementClock,
  mergeClocks,
} from './vector-clock.ts';
export type { ClockOrder, VectorClock } from './vector-clock.ts';
