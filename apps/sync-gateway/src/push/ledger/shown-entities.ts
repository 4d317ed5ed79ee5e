import { readJson } from '@sync/domain';
import { containsClock, type VectorClock } from '@sync/vector-clock';
import { addressKey } from '../../read-model/entity-address.ts';
import { INLINE_LENGTH } from '../outcome/tell-outcomes.ts';
import type { Completed } from './completion.ts';

/** One element of `push_complete`'s p_shown: a large entity that outcomes show. */
export interface ShownState {
  readonly scope: string;
  readonly type: string;
  readonly id: string;
  readonly clock: VectorClock;
  /** JSON text of a RemoteDelta. */
  readonly wire: string;
}

/**
 * @returns by `addressKey`, of each large entity the newest state that one of the outcomes shows: whoever
 * sees that misses nothing
 */
export function shownStates(completed: readonly Completed[]): Map<string, ShownState> {
  const states = new Map<string, ShownState>();
  for (const one of completed) {
    if (!showsLarge(one)) continue;
    const { scope, entityType: type, entityId: id } = one.address;
    const { current: wire } = one.settlement;
    const key = addressKey(one.address);
    const before = states.get(key);
    if (before?.wire === wire) continue;
    const { clock } = readJson(wire) as { readonly clock: VectorClock };
    if (before && containsClock(before.clock, clock)) continue;
    states.set(key, { scope, type, id, clock, wire });
  }
  return states;
}

/** Whether an entity is too large to be stored with each outcome that shows it. */
export function showsLarge(one: Completed): one is Completed & {
  readonly address: NonNullable<Completed['address']>;
  readonly settlement: { readonly kind: 'settled'; readonly current: string };
} {
  const { address, settlement } = one;
  return (
    settlement.kind === 'settled' && address !== null && (settlement.current?.length ?? 0) > INLINE_LENGTH
  );
}
