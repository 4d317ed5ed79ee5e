import type { LocalMutation } from '@sync/protocol';

/** The content of an entity, as its schema has it. */
export type EntityData = Readonly<Record<string, unknown>>;

/**
 * What a mutation makes of what its device sees.
 * @param data null where there is no such entity, or it is deleted
 */
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
