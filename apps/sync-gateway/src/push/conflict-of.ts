import type { ConflictDraft } from '@sync/domain';
import { conflictIdOf } from './conflict-id.ts';
import type { Settled, Work } from './settlement.ts';

/**
 * The record of a decision, if it has one, with the mutation's op, without which nobody could carry it out later. A person is shown what the
 * device sent, whatever version it was lifted to.
 */
export function conflictOf(work: Work, draft: ConflictDraft | null): NonNullable<Settled['conflict']> | null {
  if (draft === null) return null;
  const conflictId = conflictIdOf(work.mutation.mutationId);
  const { sentData, mutation } = work;
  const { op } = mutation;
  if (sentData === undefined) return { conflictId, draft: { ...draft, op } };
  const theirsLifted = draft.theirs;
  return {
    conflictId,
    draft: { ...draft, op, theirs: sentData, ...(theirsLifted === null ? {} : { theirsLifted }) },
  };
}
