import type { Conflict } from '@sync/client';
import { useMemo } from 'react';
import { type Listed, type LiveList, listOf, useLiveList } from './live-list.ts';
import { type AnyClient, useAnyClient } from './sync-provider.tsx';

const lists = new WeakMap<AnyClient, LiveList<Conflict>>();

/**
 * The conflicts of this user, as they were pulled; the newest first.
 * @param status only those; a person has to decide the `open` ones
 */
export function useConflicts(status?: Conflict['status']): Listed<Conflict> {
  const client = useAnyClient();
  const all = useLiveList(
    client &&
      listOf(lists, client, {
        read: async () => newestFirst(await client.conflicts()),
        listen: (listener) => client.onConflicts(listener),
      }),
  );
  return useMemo(
    () =>
      status === undefined ? all : { ...all, items: all.items.filter((each) => each.status === status) },
    [all, status],
  );
}

function newestFirst(conflicts: readonly Conflict[]): Conflict[] {
  return conflicts.toSorted((one, other) => (one.detectedAt < other.detectedAt ? 1 : -1));
}
