import type { Write, WriteState } from '@sync/client';
import { useCallback, useSyncExternalStore } from 'react';
import { nothing } from './live-list.ts';

/** How a write stands; null where there is none yet. The same object until it has come further. */
export function useOutcome(write: Write | null): WriteState | null {
  const subscribe = useCallback((listener: () => void) => write?.subscribe(listener) ?? nothing, [write]);
  const state = (): WriteState | null => write?.state ?? null;
  return useSyncExternalStore(subscribe, state, state);
}
