import { hasSeenDot, type ReplicaId, type VectorClock } from '@sync/vector-clock';
import type { LoggedUpdate } from './open-document.ts';

/** What `findOverlaps` compares: updates of what both sides started from, and what each made of it. */
export interface Sides {
  readonly base: readonly Uint8Array[];
  readonly ours: readonly Uint8Array[];
  readonly theirs: readonly Uint8Array[];
}

/**
 * Tells by clocks what a device had not seen when it made its changes.
 * @param history a state, and every change since it, those of the device left out
 * @param changes of the device
 * @param own the device's replica id
 */
export function sidesOf(
  history: { readonly base: Uint8Array; readonly updates: readonly LoggedUpdate[] },
  changes: readonly LoggedUpdate[],
  baseClock: VectorClock,
  own: ReplicaId,
): Sides {
  const hasSeen = ({ dot }: LoggedUpdate): boolean => hasSeenDot(baseClock, dot, own);
  const bytesOf = ({ update }: LoggedUpdate): Uint8Array => update;
  return {
    base: [history.base, ...history.updates.filter(hasSeen).map(bytesOf)],
    ours: history.updates.filter((one) => !hasSeen(one)).map(bytesOf),
    theirs: changes.map(bytesOf),
  };
}
