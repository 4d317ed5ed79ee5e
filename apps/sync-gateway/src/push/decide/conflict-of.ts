import { recordRefused, type ConflictDraft, type EntityState } from '@sync/domain';
import type { Settled, Work } from '../outcome/settlement.ts';
import { conflictIdOf } from './conflict-id.ts';
import { inputOf } from './mutation-input.ts';

/** The `conflict` of a settlement, or nothing. */
export type WithConflict = Pick<Settled, 'conflict'>;

/**
 * The record of a decision, if it has one, with the mutation's op, without which nobody could carry it out
 * later. A person is shown what the device sent, whatever version it was lifted to.
 */
export function conflictOf(work: Work, draft: ConflictDraft | null): WithConflict {
  if (draft === null) return {};
  const { sentData, mutation } = work;
  const { op, mutationId } = mutation;
  const conflictId = conflictIdOf(mutationId);
  if (sentData === undefined) return { conflict: { conflictId, draft: { ...draft, op } } };
  const { theirs: theirsLifted } = draft;
  const lifted = theirsLifted === null ? {} : { theirsLifted };
  return { conflict: { conflictId, draft: { ...draft, op, theirs: sentData, ...lifted } } };
}

/**
 * The record of a mutation that is refused although nobody found anything wrong with it by itself: without
 * one, what it wrote would be gone.
 * @param current as its device may see it; records are shown to users
 */
export function refusedConflict(work: Work, deviceId: string, current: EntityState | null): WithConflict {
  const { mutation, registration } = work;
  const draft = recordRefused(
    { mutation: inputOf(mutation, deviceId), policy: registration.policy },
    current,
  );
  return conflictOf(work, draft);
}

/**
 * The record of a refused mutation that has content; what has none loses nothing. @param current as its
 * device may see it
 */
export function lostContent(work: Work, deviceId: string, current: EntityState | null): WithConflict {
  return work.mutation.op === 'delete' ? {} : refusedConflict(work, deviceId, current);
}

/**
 * The record of a mutation that nobody decided about: open, so that a person can still carry it out. Not
 * where it could not be lifted: an owner gets data of the registered schemaVersion only, so there the record
 * just keeps what was written.
 * @param current as its device may see it
 */
export function heldConflict(work: Work, deviceId: string, current: EntityState | null): WithConflict {
  const { conflict } = refusedConflict(work, deviceId, current);
  const { mutation, registration } = work;
  const liftable = (mutation.schemaVersion ?? registration.schemaVersion) === registration.schemaVersion;
  if (!conflict || !liftable) return conflict ? { conflict } : {};
  const fields = conflict.draft.fields.map((field) => ({ ...field, winner: 'open' as const }));
  return { conflict: { ...conflict, draft: { ...conflict.draft, fields, decision: 'open' } } };
}
