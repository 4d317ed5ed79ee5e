import type { RemoteDelta } from '@sync/protocol';
import {
  FOLDED_REPLICA,
  type ReplicaId,
  type VectorClock,
  containsClock,
  counterOf,
  isOvertaken,
  mergeClocks,
} from '@sync/vector-clock';
import type { EntityRow } from './rows.ts';

/**
 * Whether the later state has everything of the earlier one. Of two states of one entity a higher `s:folded`
 * says so as well: entries of the earlier one are folded away in it (CLOCK-3).
 */
export function hasAll(later: VectorClock, earlier: VectorClock): boolean {
  return containsClock(later, earlier) || isOvertaken(earlier, later);
}

export function isFoldedSince(later: VectorClock, earlier: VectorClock): boolean {
  return counterOf(later, FOLDED_REPLICA) > counterOf(earlier, FOLDED_REPLICA);
}

/** The newest that is known of an entity in a scope: what was pulled, unless an outcome has shown more. */
export function newestOf(row: EntityRow | undefined): RemoteDelta | null {
  if (!row) return null;
  const { delta, shown } = row;
  return shown && !(delta && hasAll(delta.clock, shown.clock)) ? shown : delta;
}

/** The newest of an entity over all scopes in which the device has it. */
export function newestOfAll(rows: Iterable<EntityRow>): { row: EntityRow; state: RemoteDelta } | null {
  let best: { row: EntityRow; state: RemoteDelta } | null = null;
  for (const row of rows) {
    const state = newestOf(row);
    if (!state) continue;
    // Where it left one scope and lives on in another, the deletion is only of that scope.
    const isBetter =
      !best ||
      (best.state.op === 'delete' && state.op !== 'delete') ||
      (state.op !== 'delete' && hasAll(state.clock, best.state.clock));
    if (isBetter) best = { row, state };
  }
  return best;
}

/**
 * The `baseClock` of the next mutation: what its person saw, with this device's own changes counted in
 * (PUSH-4, CLOCK-4).
 * @param ownCounter of the last change that this device made of the entity; 0 for none
 */
export function baseClockOf(seen: VectorClock, own: ReplicaId, ownCounter: number): VectorClock {
  const counter = Math.max(counterOf(seen, own), ownCounter);
  return counter === 0 ? seen : mergeClocks(seen, { [own]: counter });
}
