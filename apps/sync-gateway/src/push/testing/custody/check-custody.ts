import { modelFields } from './field-model.ts';
import { type EntityHistory, type History, tellValue, type Written } from './history.ts';

/** A promise that was broken, and where. */
export interface Violation {
  readonly entityId: string;
  /** The mutation with which it showed; null where none is to blame alone. */
  readonly mutationId: string | null;
  readonly text: string;
}

const TAKEN: readonly string[] = ['applied', 'merged'];

/** Compares a run with what the gateway promises. @returns nothing when every promise was kept */
export function checkCustody(history: History): Violation[] {
  const { written, entities } = history;
  return [
    ...[...written.values()].flatMap((one) => checkMutation(history, one)),
    ...entities.flatMap((entity) => [...checkRecords(history, entity), ...checkData(history, entity)]),
  ];
}

/**
 * It has one end, told the same however often; the owner did what it says; its ConflictRecord is there, and
 * only one.
 */
function checkMutation(history: History, { name, mutation }: Written): Violation[] {
  const { outcomes, answers, applied, records } = history;
  const { mutationId, entityId } = mutation;
  const broken: Violation[] = [];
  const fail = (text: string): void => void broken.push({ entityId, mutationId, text: `${name} ${text}` });
  const outcome = outcomes.get(mutationId);
  if (!outcome) {
    fail('has not ended');
    return broken;
  }
  const { status, conflictId } = outcome;
  const times = applied.filter((id) => id === mutationId).length;
  if (times !== (TAKEN.includes(status) ? 1 : 0)) fail(`is ${status} and was applied ${times} times`);
  const seen = [...(answers.get(mutationId) ?? [])];
  if (seen.length > 1) fail(`was answered in different ways: ${seen.join(' and ')}`);
  const ids = records.filter((record) => record.mutationId === mutationId).map((record) => record.conflictId);
  if (ids.join() !== (conflictId ?? ''))
    fail(`names ${conflictId ?? 'no ConflictRecord'}, it has ${ids.join()}`);
  if (status === 'superseded' && ids.length === 0) fail('is superseded without a ConflictRecord');
  return broken;
}

/** Whatever was written over unseen is in a ConflictRecord. */
function checkRecords(history: History, entity: EntityHistory): Violation[] {
  return modelFields(history, entity).overwrites.flatMap((overwrite) => {
    const { written, revision, field, value, recorded } = overwrite;
    if (recorded?.ours === value) return [];
    const { entityId, mutationId } = written.mutation;
    const instead = recorded ? `recorded ${tellValue(recorded.ours)}` : 'recorded nothing';
    const text = `${written.name} overwrote ${value} in ${field} unseen and ${instead} (revision ${revision})`;
    return [{ entityId, mutationId, text }];
  });
}

/** The winners of which the records tell are what the owner has. */
function checkData(history: History, entity: EntityHistory): Violation[] {
  const { entityId, data } = entity;
  return [...modelFields(history, entity).fields].flatMap(([field, value]) => {
    if (data[field] === value) return [];
    const text = `${tellValue(data[field])} is in ${field}, by the records it should be ${value}`;
    return [{ entityId, mutationId: null, text }];
  });
}
