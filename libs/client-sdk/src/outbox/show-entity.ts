import type { LocalMutation, RemoteDelta } from '@sync/protocol';
import { type OutboxEntry, isShown } from './entry.ts';

/** The content of an entity, as its schema has it. */
export type EntityData = Readonly<Record<string, unknown>>;

/**
 * What the app sees of an entity: what is known from the server, with the device's own changes over it, in
 * the order in which they were made.
 * @param state the newest that is known; null when nothing is
 * @returns null when there is no such entity, or it is deleted
 */
export function showEntity(state: RemoteDelta | null, pending: readonly OutboxEntry[]): EntityData | null {
  let data = state?.data ?? null;
  for (const entry of pending) {
    if (isShown(entry)) data = applyMutation(data, entry.mutation);
  }
  return data;
}

/** What a mutation makes of what its device sees. */
export function applyMutation(
  data: EntityData | null,
  mutation: Pick<LocalMutation, 'op' | 'data'>,
): EntityData | null {
  switch (mutation.op) {
    case 'put':
    case 'append':
      return mutation.data ?? {};
    case 'patch':
      // Of an entity that is gone there is nothing to change.
      return data && { ...data, ...mutation.data };
    case 'delete':
      return null;
    case 'merge':
      return data;
  }
}
