import { compareCodePoints, deviceReplica, dotIn, hasSeenDot } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { EXISTENCE_FIELD } from '../entity.ts';
import type { FieldWrite, FieldWrites, MutationInput, Write } from '../entity.ts';
import { deepEqualJson, readField } from '../json.ts';
import type { JsonObject } from '../json.ts';

/**
 * The last-writer-wins order of two writes: by time, then replica id by code point, then counter. Total, and
 * the same for everybody who looks: `compareWrites(a, b) === 0` only for one and the same write.
 */
export function compareWrites(a: Write, b: Write): number {
  return a.atMs - b.atMs || compareCodePoints(a.by, b.by) || a.counter - b.counter;
}

/** The recorded write of a field (own properties only), `undefined` when nothing is known of it. */
export function readFieldWrite(writes: FieldWrites, field: string): FieldWrite | undefined {
  return Object.hasOwn(writes, field) ? writes[field] : undefined;
}

/**
 * The last write of a field: its entry, or else the deletion that the entity came back from, which had
 * removed every field. `undefined` when nothing is known of it.
 */
export function lastWriteOf(writes: FieldWrites, field: string): FieldWrite | undefined {
  return readFieldWrite(writes, field) ?? readFieldWrite(writes, EXISTENCE_FIELD)?.deletion ?? undefined;
}

/** A device, and what it had seen. */
export type Seer = Pick<MutationInput, 'deviceId' | 'baseClock'>;

/** Says whether a device had seen the field's value, or the removal of that value. */
export function hasSeen(seer: Seer, write: FieldWrite): boolean {
  return sawWrite(seer, write) || (write.removedBy !== undefined && sawWrite(seer, write.removedBy));
}

/** Says whether a device had seen this very write. */
export function sawWrite({ deviceId, baseClock }: Seer, { by, counter, folds = 0 }: Write): boolean {
  return hasSeenDot(baseClock, { replicaId: by, counter, folds }, deviceReplica(deviceId));
}

/** The write as it is counted in the entity's clock. */
export function writeIn(clock: VectorClock, { atMs, by, counter }: Write): Write {
  const { folds } = dotIn(clock, by, counter);
  return { atMs, by, counter, ...(folds > 0 && { folds }) };
}

/**
 * What a deletion leaves of an entity: the fields that were written later, and those of which nobody knows
 * who wrote them.
 */
export function leftBehind(
  deletion: Write | null | undefined,
  writes: FieldWrites,
  data: JsonObject,
): { readonly writes: FieldWrites; readonly data: JsonObject } {
  if (!deletion) return { writes, data };
  const isLeft = (field: string): boolean => {
    const write = readFieldWrite(writes, field);
    return !write || compareWrites(write, deletion) > 0;
  };
  const only = <T>(fields: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(fields).filter(([field]) => isLeft(field)));
  return { writes: only(writes), data: only(data) };
}

/**
 * `write` as recorded over `previous`: at least a millisecond later. A device whose clock went back between
 * two writes would otherwise write over what it has seen with an earlier time, and then a third device's
 * write in between would win or lose depending on who arrived first.
 */
export function writeOver(previous: Write | undefined, write: Write): Write {
  if (!previous || compareWrites(previous, write) <= 0) return nameOf(write);
  return { ...nameOf(write), atMs: previous.atMs + 1 };
}

/** The write alone, without what a FieldWrite says besides. */
function nameOf({ atMs, by, counter, folds }: Write): Write {
  return { atMs, by, counter, ...(folds !== undefined && { folds }) };
}

/** The later of two writes of the same value. */
export function laterWrite(previous: FieldWrite | undefined, write: Write): FieldWrite {
  return previous && compareWrites(previous, write) >= 0 ? previous : write;
}

/** Deletion as a write of the whole entity: later than every write of a field that it takes away. */
export function writeOverAll(previous: FieldWrites, write: Write): Write {
  const fields = Object.values(previous);
  const removals = fields.flatMap((field) => field.removedBy ?? []);
  return [...fields, ...removals].reduce((latest, earlier) => writeOver(earlier, latest), write);
}

/** What else is known of a change, for `recordFieldWrites`. */
export interface RecordOptions {
  /** The entity was deleted before the change; `before` is then its `deletedData`. */
  readonly wasDeleted?: boolean;
  /**
   * The entries of the decision that led to the change (`SubmitDecision.fieldWrites`). The difference of the
   * data cannot show a write that repeated the present value, and such a write counts: without it, "1 at
   * 10:00, 1 at 10:05, 2 at 10:02" would end as 1 or 2 depending on the order of arrival.
   */
  readonly decided?: FieldWrites;
}

/**
 * What is known of every field's last write after one change. Used by the projector for every event.
 *
 * - a field whose value changed gets the new write;
 * - a removed field keeps its entry, with `removedBy`: a write that had not seen the removal still competes
 *   with the value that was removed;
 * - a field that the decision wrote and that is not there was removed by that very write, with which others
 *   compete (`isOwnRemoval`);
 * - creation (`before` null), deletion (`after` null) and return write the key `''`; deletion keeps the other
 *   entries, and a second deletion counts only if it is later than the first;
 * - a deleted entity that is made anew begins without entries: `FieldWrite.deletion` stands for all that was
 *   before. Only where the decision says that the deletion is void does everything come back as it was.
 */
export function recordFieldWrites(
  previous: FieldWrites,
  before: JsonObject | null,
  after: JsonObject | null,
  write: Write,
  { wasDeleted = false, decided = {} }: RecordOptions = {},
): FieldWrites {
  const existence = readFieldWrite(previous, EXISTENCE_FIELD);
  const told = readFieldWrite(decided, EXISTENCE_FIELD)?.deletion;
  const stood = after !== null && wasDeleted && told === undefined ? existence : undefined;
  const left = leftBehind(told, previous, before ?? {});
  const writes = new Map<string, FieldWrite>(stood ? [] : Object.entries(left.writes));
  if (after === null) {
    writes.set(EXISTENCE_FIELD, wasDeleted ? bothDeletions(existence, write) : writeOverAll(previous, write));
  } else if (stood) {
    for (const field of [EXISTENCE_FIELD, ...Object.keys(after)]) writes.set(field, writeOver(stood, write));
  } else {
    recordValues(writes, left.data, after, write);
    if (before === null || wasDeleted) writes.set(EXISTENCE_FIELD, writeOver(existence, write));
  }
  for (const [field, entry] of Object.entries(decided)) {
    const known = writes.get(field);
    const counted = asCounted(entry, write);
    if (isWrittenOff(field, entry, after)) {
      const wasThere = known?.removedBy !== undefined && compareWrites(known.removedBy, write) === 0;
      const over = wasThere ? writeOver(known, counted) : counted;
      if (!known || compareWrites(known, over) < 0) writes.set(field, { ...over, removedBy: over });
    } else if (!known || compareWrites(known, entry) < 0) writes.set(field, counted);
  }
  const deletion = stood ?? (told === undefined ? existence?.deletion : told);
  const entity = writes.get(EXISTENCE_FIELD);
  if (entity) writes.set(EXISTENCE_FIELD, withDeletion(entity, deletion));
  return Object.fromEntries(writes);
}

/**
 * The later of two deletions, beside the other one: whoever makes the entity anew may have seen only that.
 */
function bothDeletions(known: FieldWrite | undefined, write: Write): FieldWrite {
  if (!known || compareWrites(known, write) === 0) return known ?? write;
  return compareWrites(known, write) > 0
    ? { ...known, removedBy: nameOf(write) }
    : { ...nameOf(write), removedBy: nameOf(known) };
}

/** Whether a decision wrote the field, and its owner took that for: there is none. */
function isWrittenOff(field: string, { removedBy }: FieldWrite, after: JsonObject | null): boolean {
  return field !== EXISTENCE_FIELD && !removedBy && after !== null && !Object.hasOwn(after, field);
}

/** Whether the field was removed by a write of it, not left out by whoever had seen its value. */
export function isOwnRemoval(write: FieldWrite): boolean {
  return write.removedBy !== undefined && compareWrites(write, write.removedBy) === 0;
}

/** An entry of a decision, which was made before its mutation was counted. */
function asCounted(entry: FieldWrite, { by, counter, folds }: Write): FieldWrite {
  if (folds === undefined) return entry;
  const counted = <T extends Write>(one: T): T => {
    return one.by === by && one.counter === counter ? { ...one, folds } : one;
  };
  const { removedBy } = entry;
  return removedBy ? { ...counted(entry), removedBy: counted(removedBy) } : counted(entry);
}

function withDeletion(entity: FieldWrite, deletion: Write | null | undefined): FieldWrite {
  const { deletion: _, ...write } = entity;
  return deletion ? { ...write, deletion: nameOf(deletion) } : write;
}

function recordValues(
  writes: Map<string, FieldWrite>,
  before: JsonObject,
  after: JsonObject,
  write: Write,
): void {
  for (const [field, value] of Object.entries(after)) {
    if (deepEqualJson(readField(before, field), value)) continue;
    writes.set(field, writeOver(writes.get(field), write));
  }
  for (const field of Object.keys(before)) {
    if (!Object.hasOwn(after, field)) writes.set(field, removalOf(writes.get(field), write));
  }
}

/** The entry of a field that `write` leaves out. */
export function removalOf(previous: FieldWrite | undefined, write: Write): FieldWrite {
  return { ...nameOf(previous ?? write), removedBy: write };
}

/**
 * What a put or patch writes when it is applied as sent, over a state that need not be known: what it names.
 */
export function namedWrites({ op, data }: Pick<MutationInput, 'op' | 'data'>, write: Write): FieldWrites {
  if (op !== 'put' && op !== 'patch') return {};
  const named = Object.keys(data ?? {});
  const touched = op === 'put' ? [EXISTENCE_FIELD, ...named] : named;
  return Object.fromEntries(touched.map((field) => [field, write]));
}

/**
 * The entries of a decision that `recordFieldWrites` cannot find in the difference of the data, because the
 * write repeated the value that was there, or the owner left out what it wrote. Only these need to travel
 * with a change: usually none.
 * @param before the entity's data before the change; null when it was deleted: who compares with what was
 *   deleted is not known here, so all entries travel
 */
export function repeatingWrites(
  decided: FieldWrites,
  before: JsonObject | null,
  after: JsonObject | null,
): FieldWrites {
  if (after === null) return {};
  if (before === null) return decided;
  return Object.fromEntries(
    Object.entries(decided).filter(([field, entry]) => {
      return (
        isWrittenOff(field, entry, after) || deepEqualJson(readField(before, field), readField(after, field))
      );
    }),
  );
}
