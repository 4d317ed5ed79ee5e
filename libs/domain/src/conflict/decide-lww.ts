import { EXISTENCE_FIELD, mutationWrite } from '../entity.ts';
import type { EntityState, FieldWrite, MutationInput, Write } from '../entity.ts';
import { readField } from '../json.ts';
import type { Decision, DecisionInput, FieldConflict } from './decision.ts';
import { detectConflict } from './detect-conflict.ts';
import {
  compareWrites,
  hasSeen,
  laterWrite,
  leftBehind,
  readFieldWrite,
  sawWrite,
  writeOver,
  writeOverAll,
} from './field-writes.ts';
import { mergeFields } from './merge-fields.ts';
import { draftRecord, fieldConflict, submit, submitAsSent, withoutDeleted } from './submission.ts';

/**
 * Last writer wins, per top-level field (see `mergeFields`). Every value that loses is in the record.
 *
 * A delete competes as one write of the whole entity: an edit that the deleting device had not seen and that
 * is later survives it; else the delete stands and the record keeps what it took. The same rule decides when
 * the delete arrived first: a later edit brings the entity back (`EntityState.deletedData`), an earlier one
 * is superseded. Neither whether the entity exists nor its data depends on the order of arrival, but for
 * this: an edit that was superseded by a deletion stays in its record even if a third device's edit later
 * brings the entity back.
 */
export function decideLww(input: DecisionInput): Decision {
  const { mutation, current } = input;
  if (current === null || detectConflict(current.clock, mutation.baseClock) === 'clean') {
    return submitAsSent(input, 'applied');
  }
  if (current.deleted) return decideOnDeleted(input, current);
  return mutation.op === 'delete' ? decideDelete(input, current) : decideEdit(input, current);
}

function decideEdit(input: DecisionInput, current: EntityState): Decision {
  const { data, won, removed, conflicts, fieldWrites } = mergeFields(input, current, current.data ?? {});
  const submitted = input.mutation.op === 'put' ? data : won;
  const submission = submit(input, { status: 'merged', data: submitted, fieldWrites });
  if (conflicts.length === 0) return submission;
  if (input.review === 'collisions') {
    return { kind: 'hold', record: draftRecord(input, current, 'open', conflicts) };
  }
  const record = draftRecord(input, current, 'auto', conflicts);
  const lostAll = Object.keys(won).length === 0 && !removed;
  return lostAll ? { kind: 'supersede', record } : { ...submission, record };
}

function decideDelete(input: DecisionInput, current: EntityState): Decision {
  const write = mutationWrite(input.mutation);
  const unseen = unseenWrites(input, current);
  const fieldWrites = { [EXISTENCE_FIELD]: writeOverAll(current.fieldWrites, write) };
  if (unseen.length === 0) return submit(input, { status: 'merged', fieldWrites });
  const survives = unseen.some(({ latest }) => latest !== undefined && compareWrites(latest, write) > 0);
  const winner = survives ? 'ours' : 'theirs';
  const fields = unseen.map(({ field }) => field).filter((field) => field !== EXISTENCE_FIELD);
  const conflicts = [
    fieldConflict(EXISTENCE_FIELD, { winner }),
    ...fields.map((field) => fieldConflict(field, { ours: readField(current.data ?? {}, field), winner })),
  ];
  if (input.review === 'collisions') {
    return { kind: 'hold', record: draftRecord(input, current, 'open', conflicts) };
  }
  const record = draftRecord(input, current, 'auto', conflicts);
  return survives ? { kind: 'supersede', record } : submit(input, { status: 'merged', record, fieldWrites });
}

interface UnseenWrite {
  readonly field: string;
  /** The later of the field's last write and its removal; `undefined` when nobody knows who wrote it. */
  readonly latest: Write | undefined;
}

/** The fields whose last write or removal the device had not seen. */
function unseenWrites({ mutation }: DecisionInput, current: EntityState): UnseenWrite[] {
  const fields = new Set([...Object.keys(current.fieldWrites), ...Object.keys(current.data ?? {})]);
  const unseen: UnseenWrite[] = [];
  for (const field of fields) {
    const previous = readFieldWrite(current.fieldWrites, field);
    if (previous && hasSeen(mutation, previous)) continue;
    unseen.push({ field, latest: previous?.removedBy ? laterWrite(previous.removedBy, previous) : previous });
  }
  return unseen;
}

function decideOnDeleted(input: DecisionInput, current: EntityState): Decision {
  const { mutation } = input;
  const write = mutationWrite(mutation);
  const deletion = readFieldWrite(current.fieldWrites, EXISTENCE_FIELD);
  if (mutation.op === 'delete') {
    return submit(input, {
      status: 'merged',
      fieldWrites: { [EXISTENCE_FIELD]: laterWrite(deletion, write) },
    });
  }
  if (deletion && sawWrite(mutation, deletion)) return submitAsSent(input, 'merged');
  if (input.review === 'collisions') {
    return { kind: 'hold', record: draftRecord(input, withoutDeleted(current), 'open', allLost(mutation)) };
  }
  const deleted = current.deletedData;
  const survives = isLater(mutation, deletion) && (mutation.op === 'put' || deleted !== null);
  if (!survives) {
    return {
      kind: 'supersede',
      record: draftRecord(input, withoutDeleted(current), 'auto', allLost(mutation)),
    };
  }
  const other = deletion?.removedBy;
  // Of two deletions its device may have seen the one that counts less: that one stands, whatever becomes of
  // the other.
  const stands = other && sawWrite(mutation, other) ? other : (deletion?.deletion ?? null);
  const { writes: fieldWrites, data } = leftBehind(stands, current.fieldWrites, deleted ?? {});
  const merge = mergeFields(input, { ...current, fieldWrites }, data);
  const existence = fieldConflict(EXISTENCE_FIELD, { winner: 'theirs' });
  const record = draftRecord(input, { ...current, deletedData: deleted }, 'auto', [
    existence,
    ...merge.conflicts,
  ]);
  const existed = { ...writeOver(deletion, write), deletion: stands };
  const decided = { ...merge.fieldWrites, [EXISTENCE_FIELD]: existed };
  return submit(input, { op: 'put', data: merge.data, status: 'merged', record, fieldWrites: decided });
}

/** See `wantsDeletedData`. */
export function editWantsDeletedData({
  mutation,
  current,
  review,
}: Pick<DecisionInput, 'mutation' | 'current' | 'review'>): boolean {
  if (review === 'collisions' || !current?.deleted || mutation.op === 'delete') return false;
  if (detectConflict(current.clock, mutation.baseClock) === 'clean') return false;
  const deletion = readFieldWrite(current.fieldWrites, EXISTENCE_FIELD);
  return !(deletion && sawWrite(mutation, deletion)) && isLater(mutation, deletion);
}

/** Whether an edit that had not seen the deletion is later. A patch that names nothing writes nothing. */
function isLater(mutation: MutationInput, deletion: FieldWrite | undefined): boolean {
  const writes = mutation.op === 'put' || Object.keys(mutation.data ?? {}).length > 0;
  return writes && (!deletion || compareWrites(mutationWrite(mutation), deletion) > 0);
}

function allLost({ data }: MutationInput): FieldConflict[] {
  const lost = Object.entries(data ?? {}).map(([field, theirs]) => {
    return fieldConflict(field, { theirs, winner: 'ours' });
  });
  return [fieldConflict(EXISTENCE_FIELD, { winner: 'ours' }), ...lost];
}
