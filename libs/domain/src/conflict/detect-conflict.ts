import { containsClock } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';

/** `clean`: the device had seen everything the server has; `concurrent`: it had not. */
export type Concurrency = 'clean' | 'concurrent';

/**
 * The protocol's detection rule: a push is clean when the entity's present clock is equal to or before
 * `baseClock`, or when the server has no such entity (`null`); else the two are concurrent.
 */
export function detectConflict(currentClock: VectorClock | null, baseClock: VectorClock): Concurrency {
  return currentClock === null || containsClock(baseClock, currentClock) ? 'clean' : 'concurrent';
}
