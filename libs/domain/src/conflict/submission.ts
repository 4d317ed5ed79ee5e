import { EMPTY_CLOCK, MAX_CLOCK_ENTRIES, clockSize, countChange, mergeClocks } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { EXISTENCE_FIELD, claimedClock, mutationWrite } from '../entity.ts';
import type { EntityState, FieldWrite, FieldWrites } from '../entity.ts';
import { readField } from '../json.ts';
import type { JsonValue } from '../json.ts';
import type { ConflictDraft, DecisionInput, FieldConflict, SubmitDecision } from './decision.ts';
import { knownBase } from './known-base.ts';
import { lastWriteOf, readFieldWrite, removalOf, writeOver, writeOverAll } from './field-writes.ts';

/** The decision to submit the mutation with its own op, data and update, unless `changes` says otherwise. */
export function submit(
  input: DecisionInput,
  changes: Partial<SubmitDecision> & Pick<SubmitDecision, 'status'>,
): SubmitDecision {
  const { mutation, current } = input;
  return {
    kind: 'submit',
    op: mutation.op,
    data: mutation.data,
    update: mutation.update,
    clock: plannedClock(input),
    expectedRevision: current?.revision ?? 0,
    record: null,
    fieldWrites: {},
    ...changes,
  };
}

/**
 * The entity's clock with the mutation's dot, as whoever counts will have it unless it is folded then. Of the
 * other entries of `baseClock` none: a device knows no change that the entity has not, and may name entries
 * that were folded away.
 */
function plannedClock({ mutation, current }: DecisionInput): VectorClock {
  const before = current?.clock ?? EMPTY_CLOCK;
  const { by, counter } = mutationWrite(mutation);
  const planned = mergeClocks(before, { [by]: counter });
  return clockSize(planned) > MAX_CLOCK_ENTRIES ? countChange(before, by, counter) : planned;
}

/** Submits as sent: the mutation wins every field it names. */
export function submitAsSent(input: DecisionInput, status: SubmitDecision['status']): SubmitDecision {
  return submit(input, { status, fieldWrites: writesAsSent(input) });
}

function writesAsSent({ mutation, current }: DecisionInput): FieldWrites {
  const write = mutationWrite(mutation);
  const previous = current?.fieldWrites ?? {};
  if (mutation.op === 'delete') return { [EXISTENCE_FIELD]: writeOverAll(previous, write) };
  if (mutation.op === 'merge') return {};
  const data = mutation.data ?? {};
  const touched = mutation.op === 'patch' ? Object.keys(data) : [EXISTENCE_FIELD, ...Object.keys(data)];
  const writes = touched.map((field): [string, FieldWrite] => {
    return [field, writeOver(lastWriteOf(previous, field), write)];
  });
  if (mutation.op === 'put') {
    for (const field of Object.keys(current?.data ?? {})) {
      if (readField(data, field) !== undefined) continue;
      writes.push([field, removalOf(readFieldWrite(previous, field), write)]);
    }
  }
  return Object.fromEntries(writes);
}

/**
 * A record of a conflict with the present state. @param current as the mutation's device may see it; null:
 * there is none for it
 */
export function draftRecord(
  { mutation, policy }: Pick<DecisionInput, 'mutation' | 'policy'>,
  current: EntityState | null,
  decision: ConflictDraft['decision'],
  fields: readonly FieldConflict[],
): ConflictDraft {
  return {
    policy,
    entityType: mutation.entityType,
    entityId: mutation.entityId,
    mutationId: mutation.mutationId,
    ...knownBase(mutation, current),
    ours: current?.data ?? null,
    theirs: mutation.data,
    theirsUpdate: mutation.update,
    fields: decision === 'open' ? fields.map((field) => ({ ...field, winner: 'open' })) : fields,
    decision,
    clockOurs: current?.clock ?? EMPTY_CLOCK,
    clockTheirs: claimedClock(mutation),
  };
}

/** The two sides of a conflicting field; `undefined` for a side that has no value there. */
interface Contestants {
  readonly ours?: JsonValue | undefined;
  readonly theirs?: JsonValue | undefined;
  readonly winner: FieldConflict['winner'];
}

/** One conflicting field; a side without a value gets no property, because a record is stored as JSON. */
export function fieldConflict(field: string, { ours, theirs, winner }: Contestants): FieldConflict {
  return {
    field,
    ...(ours === undefined ? {} : { ours }),
    ...(theirs === undefined ? {} : { theirs }),
    winner,
  };
}

/** For a record, which is kept for ever: what was deleted and stays so is nobody's business any more. */
export function withoutDeleted(current: EntityState): EntityState {
  return { ...current, deletedData: null };
}
