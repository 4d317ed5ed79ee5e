import { checkedReplicaId } from './replica-id.ts';
import type { ReplicaId } from './replica-id.ts';
import { MAX_CLOCK_ENTRIES, clockSize, compareClocks, counterOf, mergeClocks } from './vector-clock.ts';
import type { VectorClock } from './vector-clock.ts';

/** The entry for all devices whose own entries were dropped. No service may have this name. */
export const FOLDED_REPLICA: ReplicaId = 's:folded';

/**
 * The most entries that `countChange` leaves: two fewer than the wire takes, one for the device that adds its
 * own to what it has seen, one for a service whose first own change may be counted in SQL.
 */
export const MAX_COUNTED_ENTRIES = MAX_CLOCK_ENTRIES - 2;

/** Beyond it a device’s counter says nothing: it must not use up the counter of `FOLDED_REPLICA`. */
const MAX_FOLD = 2 ** 52;

/** One change, named as the entity’s clock counts it. */
export interface ChangeDot {
  readonly replicaId: ReplicaId;
  readonly counter: number;
  /** The counter of `FOLDED_REPLICA` once the change is in the clock; of changes by devices. */
  readonly folds: number;
}

/**
 * The entity’s clock after one more change, for whoever counts: the owner, or the projector for an owner that
 * keeps no clocks.
 *
 * A clock that would have too many entries is folded: the entries of all devices but the author’s are
 * dropped, and `FOLDED_REPLICA` gets a counter higher than any of them. A device that has its entry dropped
 * may count on or begin at 1 again, and others may still claim to know its old counters. So a device’s
 * counter that is not above the counter of `FOLDED_REPLICA` names nothing by itself any more, and each change
 * under one raises that. Every state of an entity that was folded is told from all others by `FOLDED_REPLICA`
 * and what is counted above it.
 *
 * @param counter of a device, what its mutation says; else the next one
 * @throws RangeError when the id is malformed or a counter cannot go higher
 */
export function countChange(
  clock: VectorClock,
  replicaId: ReplicaId,
  counter: number = counterOf(clock, replicaId) + 1,
): VectorClock {
  checkedReplicaId(replicaId);
  if (counter > Number.MAX_SAFE_INTEGER) throw new RangeError(`the counter of ${replicaId} cannot go higher`);
  const folds = counterOf(clock, FOLDED_REPLICA);
  const raised = isDevice(replicaId) && counter <= folds ? folds + 1 : folds;
  const next = mergeClocks(clock, { [replicaId]: counter, [FOLDED_REPLICA]: raised });
  return clockSize(next) > MAX_COUNTED_ENTRIES ? foldClock(next, replicaId) : next;
}

function foldClock(clock: VectorClock, author: ReplicaId): VectorClock {
  const isGone = (replicaId: ReplicaId): boolean => isDevice(replicaId) && replicaId !== author;
  const entries = Object.entries(clock);
  const highest = Math.max(
    counterOf(clock, FOLDED_REPLICA),
    ...entries.flatMap(([replicaId, counter]) => (isGone(replicaId) ? [Math.min(counter, MAX_FOLD)] : [])),
  );
  const kept = entries.filter(([replicaId]) => !isGone(replicaId));
  return Object.fromEntries([...kept, [FOLDED_REPLICA, highest + 1]]);
}

/** The change that `countChange` counted, with what the clock says of it afterwards. */
export function dotIn(clock: VectorClock, replicaId: ReplicaId, counter: number): ChangeDot {
  return { replicaId, counter, folds: isDevice(replicaId) ? counterOf(clock, FOLDED_REPLICA) : 0 };
}

/**
 * Says whether a device had seen a change.
 * @param base the `baseClock` of the device: what it has pulled, with its own changes counted in
 * @param own the device’s own replica id: of its own changes it need not have pulled anything
 */
export function hasSeenDot(
  base: VectorClock,
  { replicaId, counter, folds }: ChangeDot,
  own: ReplicaId,
): boolean {
  if (isDevice(replicaId)) {
    const seen = counterOf(base, FOLDED_REPLICA);
    if (seen > folds) return true;
    if (replicaId !== own) {
      if (seen < folds) return false;
      // The change itself raised the counter.
      if (counter <= folds) return true;
    }
  }
  return counter <= counterOf(base, replicaId);
}

/**
 * What of a device’s claim can be true: the entries of `base` that count no more changes than there are.
 *
 * An entry that counts more names something that nobody has ever shown the device, so nothing says what it
 * has seen of that replica; it is left out, and not lowered to what there is. Where devices were folded, their
 * entries up to the fold may have existed. Of its own changes a device may know more than the entity has.
 * @param clock the entity’s
 * @param own the replica id of the device whose claim it is
 * @returns `base` itself where all of it can be true
 */
export function existingPart(base: VectorClock, clock: VectorClock, own: ReplicaId): VectorClock {
  const folds = counterOf(clock, FOLDED_REPLICA);
  const mayExist = ([replicaId, counter]: readonly [ReplicaId, number]): boolean => {
    if (replicaId === own || counter <= counterOf(clock, replicaId)) return true;
    return isDevice(replicaId) && (counter < folds || folds > MAX_FOLD);
  };
  const entries = Object.entries(base);
  return entries.every(mayExist) ? base : Object.fromEntries(entries.filter(mayExist));
}

/** Says whether `later` is a later state of the same entity than `clock`. */
export function isOvertaken(clock: VectorClock, later: VectorClock): boolean {
  const [before, after] = [counterOf(clock, FOLDED_REPLICA), counterOf(later, FOLDED_REPLICA)];
  return before === after ? compareClocks(clock, later) === 'before' : before < after;
}

function isDevice(replicaId: ReplicaId): boolean {
  return replicaId.startsWith('d:');
}
