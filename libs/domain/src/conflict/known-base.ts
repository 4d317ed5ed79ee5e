import { clockSize } from '@sync/vector-clock';
import { EXISTENCE_FIELD } from '../entity.ts';
import type { EntityState, MutationInput } from '../entity.ts';
import { readField } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { ConflictDraft } from './decision.ts';
import { hasSeen, lastWriteOf, readFieldWrite } from './field-writes.ts';
import type { Seer } from './field-writes.ts';

/** What both sides started from, as far as anybody can tell. */
export type KnownBase = Required<Pick<ConflictDraft, 'base' | 'baseUnknown'>>;

/** Nothing can be told: the entity itself is unknown. */
export const UNKNOWN_BASE: KnownBase = { base: null, baseUnknown: [EXISTENCE_FIELD] };

/**
 * The base of a mutation, from the present state: the server keeps no earlier ones.
 *
 * A field whose last write the device had seen has not changed since, so its value now is its value then. A
 * field that was written behind the device's back had a value that is gone: it is named in `baseUnknown`, and
 * so is one whose writer nobody knows. A field in neither was not there.
 *
 * @param current as the device may see it; null: there is none, or the device may not know
 */
export function knownBase(
  mutation: Seer & Pick<MutationInput, 'data'>,
  current: EntityState | null,
): KnownBase {
  const { baseClock, data } = mutation;
  // A device that had seen no change of the entity has made it itself.
  if (clockSize(baseClock) === 0) return { base: null, baseUnknown: [] };
  if (current === null) return UNKNOWN_BASE;
  const { deleted, fieldWrites } = current;
  const deletion = deleted ? readFieldWrite(fieldWrites, EXISTENCE_FIELD) : undefined;
  if (deletion && hasSeen(mutation, deletion)) return { base: null, baseUnknown: [] };
  const kept = current.data ?? current.deletedData;
  if (kept === null) return UNKNOWN_BASE;
  const fields = new Set([...Object.keys(fieldWrites), ...Object.keys(kept), ...Object.keys(data ?? {})]);
  fields.delete(EXISTENCE_FIELD);
  return fieldsOf(mutation, fieldWrites, kept, fields);
}

function fieldsOf(
  seer: Seer,
  fieldWrites: EntityState['fieldWrites'],
  kept: JsonObject,
  fields: ReadonlySet<string>,
): KnownBase {
  const base: [string, JsonValue][] = [];
  const baseUnknown: string[] = [];
  for (const field of fields) {
    const write = lastWriteOf(fieldWrites, field);
    const value = readField(kept, field);
    if (!write) {
      if (value !== undefined) baseUnknown.push(field);
    } else if (!hasSeen(seer, write) || (write.removedBy && !hasSeen(seer, write.removedBy))) {
      baseUnknown.push(field);
    } else if (value !== undefined) base.push([field, value]);
  }
  return { base: Object.fromEntries(base), baseUnknown };
}
