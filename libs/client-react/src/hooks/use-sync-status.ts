import type { SyncStatus } from '@sync/client';
import { useCallback, useSyncExternalStore } from 'react';
import { nothing } from './live-list.ts';
import { useAnyClient } from './sync-provider.tsx';

const NO_STATUS: SyncStatus = {
  state: 'stopped',
  reason: null,
  nextTryAtMs: null,
  pending: 0,
  oldestPendingAt: null,
  pushPausedBy: null,
  lostWrites: 0,
  newerTypes: [],
  scopes: [],
};

/** How the device stands; `stopped` until there is a client. The same object until it changes. */
export function useSyncStatus(): SyncStatus {
  const client = useAnyClient();
  const subscribe = useCallback((listener: () => void) => client?.onStatus(listener) ?? nothing, [client]);
  return useSyncExternalStore(
    subscribe,
    () => client?.status ?? NO_STATUS,
    () => NO_STATUS,
  );
}
