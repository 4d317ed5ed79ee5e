import type { Conflict } from '@sync/client';
import type { RemoteDelta, Resolution } from '@sync/protocol';
import { useCallback, useMemo } from 'react';
import type { ServerState } from '../conflict/merge/sides.ts';
import { LiveList, nothing, useLiveList } from './live-list.ts';
import { useAnyClient } from './sync-provider.tsx';
import { useSyncStatus } from './use-sync-status.ts';

/** What `ConflictView` needs of a device to decide a conflict. */
export interface Resolving {
  /** Undefined until it was read, or where the device has nothing of the entity. */
  readonly server: ServerState | undefined;
  readonly isOffline: boolean;
  /** Asks the server. @throws SyncError `request_failed` */
  readonly onResolve: (resolution: Resolution, expectedClock: ServerState['clock']) => Promise<Conflict>;
  /** Reads anew what the server has, as it was pulled last. */
  readonly onLookAgain: () => void;
}

/** For `<ConflictView conflict={conflict} {...useResolving(conflict)} />`. */
export function useResolving(conflict: Conflict): Resolving {
  const client = useAnyClient();
  const { conflictId, entityType, entityId } = conflict;
  const states = useMemo(
    () =>
      client &&
      new LiveList({
        read: async () => {
          const state = await client.serverState({ entityType, entityId });
          return state ? [serverStateOf(state)] : [];
        },
        // Each pull that has brought something changes the status.
        listen: (listener) => client.onStatus(listener),
      }),
    [client, entityType, entityId],
  );
  const [server] = useLiveList(states).items;
  const { state, reason } = useSyncStatus();
  const onResolve = useCallback(
    async (resolution: Resolution, expectedClock: ServerState['clock']) => {
      if (!client) throw new Error('There is no client yet');
      return client.resolve(conflictId, resolution, expectedClock);
    },
    [client, conflictId],
  );
  const isOffline = state === 'offline' || (state === 'backing_off' && reason === 'offline');
  return { server, isOffline, onResolve, onLookAgain: states?.refresh ?? nothing };
}

function serverStateOf({ data, clock }: RemoteDelta): ServerState {
  return { data: data as ServerState['data'], clock };
}
