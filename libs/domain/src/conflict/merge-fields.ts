import type { EntityState, FieldWrite, FieldWrites } from '../entity.ts';
import { EXISTENCE_FIELD, mutationWrite } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { DecisionInput, FieldConflict } from './decision.ts';
import {
  compareWrites,
  hasSeen,
  isOwnRemoval,
  lastWriteOf,
  laterWrite,
  readFieldWrite,
  removalOf,
  writeOver,
} from './field-writes.ts';
import type { Seer } from './field-writes.ts';
import { fieldConflict } from './submission.ts';

/** The outcome of a put or patch against data that moved on, field by field. */
export interface FieldMerge {
  /** The whole data afterwards. */
  readonly data: JsonObject;
  /** The mutation's fields that stand afterwards. */
  readonly won: JsonObject;
  /** Whether a put took fields away. */
  readonly removed: boolean;
  /** The fields that both sides wrote, with different values. */
  readonly conflicts: readonly FieldConflict[];
  /** The entries of `FieldWrites` that change. */
  readonly fieldWrites: FieldWrites;
}

/**
 * Merges a put or patch into `data`, whose field writes are `current.fieldWrites` (last writer wins, per
 * field):
 *
 * - the device had seen the field's write, or nothing is known to have written it: the mutation's value
 *   stands;
 * - it had not, and the values differ: a collision, which goes to the later write (`compareWrites`);
 * - equal values are no collision, nor is null where an earlier null has removed the field; the later of the
 *   two writes counts from now on;
 * - a field that a put leaves out is removed only when the device had seen its write, whatever the times:
 *   nobody can want to remove what he never saw.
 *
 * As long as times grow along causality (`writeOver` sees to it), the rules amount to "the greatest write of
 * each field stands", so concurrent mutations end in the same data in whatever order they arrive.
 */
export function mergeFields(input: DecisionInput, current: EntityState, data: JsonObject): FieldMerge {
  const { mutation } = input;
  const sent = mutation.data ?? {};
  const write = mutationWrite(mutation);
  const merged = new Map<string, JsonValue>(Object.entries(data));
  const won: [string, JsonValue][] = [];
  const conflicts: FieldConflict[] = [];
  const fieldWrites: [string, FieldWrite][] = [];
  for (const [field, theirs] of Object.entries(sent)) {
    const previous = lastWriteOf(current.fieldWrites, field);
    const ours = readField(data, field);
    const winner = decideField({ previous, ours, theirs, seer: mutation, write });
    if (winner !== 'same' && winner !== 'unopposed') {
      conflicts.push(fieldConflict(field, { ours, theirs, winner }));
    }
    if (winner === 'ours') continue;
    won.push([field, theirs]);
    merged.set(field, theirs);
    fieldWrites.push([field, winner === 'same' ? laterWrite(previous, write) : writeOver(previous, write)]);
  }
  let removed = false;
  if (mutation.op === 'put') {
    for (const field of Object.keys(data)) {
      const previous = readFieldWrite(current.fieldWrites, field);
      if (Object.hasOwn(sent, field) || !previous || !hasSeen(mutation, previous)) continue;
      removed = true;
      merged.delete(field);
      fieldWrites.push([field, removalOf(previous, write)]);
    }
    fieldWrites.push([
      EXISTENCE_FIELD,
      laterWrite(readFieldWrite(current.fieldWrites, EXISTENCE_FIELD), write),
    ]);
  }
  return {
    data: Object.fromEntries(merged),
    won: Object.fromEntries(won),
    removed,
    conflicts,
    fieldWrites: Object.fromEntries(fieldWrites),
  };
}

interface FieldContest {
  readonly previous: FieldWrite | undefined;
  readonly ours: JsonValue | undefined;
  readonly theirs: JsonValue;
  readonly seer: Seer;
  readonly write: FieldWrite;
}

function decideField(contest: FieldContest): 'same' | 'unopposed' | 'ours' | 'theirs' {
  const { previous, ours, theirs, seer, write } = contest;
  if (ours !== undefined && deepEqualJson(ours, theirs)) return 'same';
  // Whoever owns the field took null for: there is none.
  const isGone = ours === undefined && previous !== undefined && isOwnRemoval(previous);
  if (isGone && theirs === null) return 'same';
  // A value of unknown origin (projected before its writes were recorded) loses, but is kept in the record.
  if (!previous) return ours === undefined ? 'unopposed' : 'theirs';
  if (hasSeen(seer, previous)) return 'unopposed';
  const order = compareWrites(write, previous);
  // Equal means the very same write: the mutation comes again and meets its own effect, which the owner may
  // have normalised since, or which somebody who had seen it may have removed.
  if (order === 0) return previous.removedBy && !isGone ? 'ours' : 'unopposed';
  return order > 0 ? 'theirs' : 'ours';
}
