import type { OutcomeRow } from '@sync/client';
import { type Listed, type LiveList, listOf, useLiveList } from './live-list.ts';
import { type AnyClient, useAnyClient } from './sync-provider.tsx';

const lists = new WeakMap<AnyClient, LiveList<OutcomeRow>>();

/** What did not simply come to stand, oldest first, until `client.dismiss`. */
export function useOutcomes(): Listed<OutcomeRow> {
  const client = useAnyClient();
  return useLiveList(
    client &&
      listOf(lists, client, {
        read: () => client.outcomes(),
        listen: (listener) => client.onOutcomes(listener),
      }),
  );
}
