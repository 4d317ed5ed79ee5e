import { compareCodePoints } from './code-point-order.ts';
import { checkedReplicaId } from './replica-id.ts';
import type { ReplicaId } from './replica-id.ts';

/**
 * The VectorClock of one entity: replica id → how many of this replica's changes the entity's state contains.
 *
 * F06, frozen: an absent entry means 0; merge is the pointwise maximum; the order is the pointwise order.
 * Changes are additive only, and `golden/vectors.json` pins the meaning for implementations in other
 * languages.
 *
 * Counters are safe integers, never negative (`parseClock` checks what comes from outside). Every function
 * treats own properties only and builds results with `Object.fromEntries`, which defines properties instead
 * of assigning them: a key such as `__proto__` is an entry like any other and never touches a prototype.
 */
export type VectorClock = Readonly<Record<ReplicaId, number>>;

/** How `a` stands to `b`: `before` means that `b` contains everything in `a` and more. */
export type ClockOrder = 'equal' | 'before' | 'after' | 'concurrent';

/** The most entries of a clock on the wire (protocol v1) and of a clock that `incrementClock` returns. */
export const MAX_CLOCK_ENTRIES = 256;

/** The clock of an entity that nobody has changed yet: the least element of the order. */
export const EMPTY_CLOCK: VectorClock = Object.freeze({});

/** The counter of one replica; 0 when the clock has no entry for it. */
export function counterOf(clock: VectorClock, replicaId: ReplicaId): number {
  // Own properties only: `clock['constructor']` would otherwise find a function.
  return Object.hasOwn(clock, replicaId) ? (clock[replicaId] as number) : 0;
}

/** Compares two clocks in the pointwise partial order (Fidge and Mattern, 1988). */
export function compareClocks(a: VectorClock, b: VectorClock): ClockOrder {
  const bHasA = containsClock(b, a);
  const aHasB = containsClock(a, b);
  if (bHasA) return aHasB ? 'equal' : 'before';
  return aHasB ? 'after' : 'concurrent';
}

/** Says whether `clock` contains everything in `other`: `other ≤ clock` at every replica. */
export function containsClock(clock: VectorClock, other: VectorClock): boolean {
  return Object.keys(other).every((replicaId) => counterOf(other, replicaId) <= counterOf(clock, replicaId));
}

/**
 * Says whether `clock` contains change number `counter` of `replicaId` (a "dot"). This is how a device knows
 * that a delta already holds its own pending mutation.
 */
export function containsDot(clock: VectorClock, replicaId: ReplicaId, counter: number): boolean {
  return counter <= counterOf(clock, replicaId);
}

/**
 * The least clock that contains both: the pointwise maximum, without zero entries.
 *
 * Total on purpose: a merge of two clocks at the entry limit may exceed it. Merging must stay a join, and
 * whoever stores or sends the result checks `clockSize` where it can still answer with a clear refusal.
 */
export function mergeClocks(a: VectorClock, b: VectorClock): VectorClock {
  const merged = new Map<ReplicaId, number>();
  for (const clock of [a, b]) {
    for (const [replicaId, counter] of Object.entries(clock)) {
      if (counter > (merged.get(replicaId) ?? 0)) merged.set(replicaId, counter);
    }
  }
  return Object.fromEntries(merged);
}

/**
 * The clock after one more change of `replicaId`, without zero entries.
 * @throws RangeError when the id is malformed, the counter is already the largest safe integer, or the result
 * would have more than 256 entries
 */
export function incrementClock(clock: VectorClock, replicaId: ReplicaId): VectorClock {
  const counter = counterOf(clock, checkedReplicaId(replicaId));
  if (counter >= Number.MAX_SAFE_INTEGER)
    throw new RangeError(`the counter of ${replicaId} cannot go higher`);
  const next = Object.fromEntries(
    [...Object.entries(clock), [replicaId, counter + 1] as const].filter(([, value]) => value > 0),
  );
  if (Object.keys(next).length > MAX_CLOCK_ENTRIES) {
    throw new RangeError(`a clock has at most ${MAX_CLOCK_ENTRIES} entries`);
  }
  return next;
}

/** The number of entries that count: zero entries mean the same as absent ones. */
export function clockSize(clock: VectorClock): number {
  return Object.values(clock).filter((counter) => counter > 0).length;
}

/**
 * The one JSON text of a clock: keys in code point order, zero entries dropped, no spaces. Two clocks are
 * equal exactly when their texts are; the scope digest hashes this text.
 */
export function canonicalClockJson(clock: VectorClock): string {
  // One text and no lists: a first sync asks for it 50,000 times.
  let text = '';
  for (const replicaId of Object.keys(clock).sort(compareCodePoints)) {
    const counter = clock[replicaId] ?? 0;
    if (counter > 0) text += `${text === '' ? '' : ','}${JSON.stringify(replicaId)}:${counter}`;
  }
  return `{${text}}`;
}
