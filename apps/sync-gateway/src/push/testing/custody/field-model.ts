import type { FieldConflict } from '@sync/domain';
import { counterOf, deviceReplica } from '@sync/vector-clock';
import { draftOf, type EntityHistory, type History, revisionsOf, type Written } from './history.ts';

/** Who wrote the value that a field has, as its dot. */
interface FieldWrite {
  readonly replica: string;
  readonly counter: number;
  readonly value: string;
}

/** A value that a mutation wrote over although its device had not seen it. */
export interface Overwrite {
  readonly written: Written;
  readonly revision: number;
  readonly field: string;
  /** What was there. */
  readonly value: string;
  /** What the mutation's ConflictRecord says about the field. */
  readonly recorded: FieldConflict | undefined;
}

/**
 * What must have happened to an entity by its revisions and the ConflictRecords: a mutation writes its
 * fields, except where its record says that the value there won, which only an unseen one can (whose dot is
 * not in the baseClock).
 *
 * @returns the fields in the end, and every unseen value that was written over
 */
export function modelFields(
  history: History,
  entity: EntityHistory,
): {
  readonly fields: ReadonlyMap<string, string>;
  readonly overwrites: readonly Overwrite[];
} {
  const writes = new Map<string, FieldWrite>();
  const overwrites: Overwrite[] = [];
  for (const [place, { change, written }] of revisionsOf(history, entity).entries()) {
    if (change) {
      writes.set(change.field, { replica: 's:learning', counter: change.counter, value: change.name });
      continue;
    }
    const { baseClock = {}, data, mutationId } = written.mutation;
    const replica = deviceReplica(written.deviceId);
    const draft = draftOf(history, mutationId);
    for (const field of Object.keys(data ?? {})) {
      const before = writes.get(field);
      const unseen = before && counterOf(baseClock, before.replica) < before.counter;
      const recorded = draft?.fields.find((one) => one.field === field);
      if (unseen && recorded?.winner === 'ours') continue;
      writes.set(field, { replica, counter: counterOf(baseClock, replica) + 1, value: written.name });
      if (unseen) overwrites.push({ written, revision: place + 1, field, value: before.value, recorded });
    }
  }
  return { fields: new Map([...writes].map(([field, { value }]) => [field, value])), overwrites };
}
