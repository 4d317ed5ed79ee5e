import { containsDot, counterOf, mergeClocks } from '@sync/vector-clock';
import type { ReplicaId, VectorClock } from '@sync/vector-clock';
import type { EntityState, Write } from '../entity.ts';
import type { JsonObject } from '../json.ts';
import { recordFieldWrites } from './field-writes.ts';

/** What an owning service says of its entity when it answers `conflict`. */
export interface OwnerSnapshot {
  readonly revision: number;
  /** `null` when the owner keeps no clock. */
  readonly clock: VectorClock | null;
  readonly data: JsonObject | null;
  readonly deleted: boolean;
}

/** What is known when an owner is ahead of the projection. */
export interface InferenceInput {
  /** The last projected state, behind the owner's; `null` when there is none. */
  readonly known: EntityState | null;
  readonly owner: OwnerSnapshot;
  /** The mutation that is to be decided next: changes that it has seen must count as seen. */
  readonly baseClock: VectorClock;
  /** The owner, whose own change it was if no clock says otherwise. */
  readonly serviceReplicaId: ReplicaId;
  /** The best known time of the change: the ledger's for a mutation, else the server's now. */
  readonly changedAtMs: number;
}

/**
 * The state to decide on when the owner answered `conflict` and its change is not projected yet: the owner's data,
 * with the writers of what changed inferred from the difference to the last projected state.
 *
 * An inference, not knowledge: the owner does not say when each field was written, so every changed field gets
 * `changedAtMs`, and a dot that the mutation has not seen if there is one. To wait for the projection gives the exact
 * answer and usually takes milliseconds; this is for when it does not come. To decide on the owner's data with the
 * old field writes instead would overwrite the change without a record.
 */
export function inferState(input: InferenceInput): EntityState {
  const { known, owner } = input;
  const write = { atMs: input.changedAtMs, ...newDot(input) };
  const clock = mergeClocks(
    mergeClocks(known?.clock ?? {}, owner.clock ?? {}),
    owner.clock === null ? { [write.by]: write.counter } : {},
  );
  const before = known === null ? null : (known.data ?? known.deletedData);
  const after = owner.deleted ? null : (owner.data ?? {});
  const wasDeleted = known?.deleted ?? false;
  const fieldWrites = recordFieldWrites(known?.fieldWrites ?? {}, before, after, write, { wasDeleted });
  return {
    revision: owner.revision,
    clock,
    data: after,
    deleted: owner.deleted,
    deletedData: owner.deleted ? before : null,
    fieldWrites,
  };
}

/** A change that the owner has and the projection does not, if possible one that the mutation has not seen. */
function newDot({ known, owner, baseClock, serviceReplicaId }: InferenceInput): Omit<Write, 'atMs'> {
  const before = known?.clock ?? {};
  const own = { by: serviceReplicaId, counter: counterOf(before, serviceReplicaId) + 1 };
  if (owner.clock === null) return own;
  const dots = Object.entries(owner.clock)
    .map(([by, counter]) => ({ by, counter }))
    .filter(({ by, counter }) => !containsDot(before, by, counter));
  return dots.find(({ by, counter }) => !containsDot(baseClock, by, counter)) ?? dots[0] ?? own;
}
