/** What a person has chosen for the fields of a conflict, and what comes of it. */
import { deepEqualJson } from '@sync/domain';
import type { JsonObject, JsonValue } from '@sync/domain';
import type { Resolution } from '@sync/protocol';
import { type Cell, type FieldRow, isWhole, sameCell } from './field-rows.ts';
import type { Sides } from './sides.ts';

/** Where the value of a field comes from. `own` is what somebody has typed. */
export type Choice =
  | { readonly from: 'server' | 'device' | 'combined' | 'suggestion' }
  | { readonly from: 'own'; readonly text: string; readonly format: 'text' | 'json' };

/** By field. */
export type Choices = ReadonlyMap<string, Choice>;

/** What a field will be; `undecided` until somebody chooses, `invalid` while what was typed is no JSON. */
export type Result =
  | Exclude<Cell, { readonly kind: 'unknown' }>
  | { readonly kind: 'undecided' }
  | { readonly kind: 'invalid'; readonly message: string };

export const NO_CHOICES: Choices = new Map();

/** What counts where nobody has chosen; undefined where both sides have changed the field. */
export function defaultChoice({ change }: FieldRow): Choice | undefined {
  if (change === 'both') return undefined;
  return { from: change === 'device' ? 'device' : 'server' };
}

export function choiceOf(row: FieldRow, choices: Choices): Choice | undefined {
  return choices.get(row.field) ?? defaultChoice(row);
}

export function resultOf(row: FieldRow, choices: Choices): Result {
  const choice = choiceOf(row, choices);
  switch (choice?.from) {
    case undefined:
      return { kind: 'undecided' };
    case 'server':
      return settled(row.server);
    case 'device':
      return settled(row.device);
    case 'combined':
      return row.combined === undefined ? { kind: 'undecided' } : { kind: 'value', value: row.combined };
    case 'suggestion':
      return settled(row.suggested ?? row.server);
    case 'own':
      return parseOwn(choice);
  }
}

function settled(cell: Cell): Result {
  return cell.kind === 'unknown' ? { kind: 'undecided' } : cell;
}

function parseOwn({ text, format }: Extract<Choice, { from: 'own' }>): Result {
  if (format === 'text') return { kind: 'value', value: text };
  try {
    return { kind: 'value', value: JSON.parse(text) as JsonValue };
  } catch (error) {
    return { kind: 'invalid', message: error instanceof Error ? error.message : String(error) };
  }
}

/** Where somebody begins to type: with what the field would be now, or else the device's value. */
export function ownChoice(row: FieldRow, choices: Choices): Choice {
  const result = resultOf(row, choices);
  const start = [result, row.device, row.server].find(({ kind }) => kind === 'value');
  const value = start?.kind === 'value' ? start.value : '';
  // Whatever was a text on either side stays one.
  return typeof value === 'string'
    ? { from: 'own', format: 'text', text: value }
    : { from: 'own', format: 'json', text: JSON.stringify(value, null, 2) };
}

/** One side for all fields, also those that are not contested. */
export function takeAll(rows: readonly FieldRow[], from: 'server' | 'device' | 'suggestion'): Choices {
  return new Map(rows.map(({ field }) => [field, { from }]));
}

/** What a person has chosen, without what rests on a value that is another one now. */
export function keepChoices(
  choices: Choices,
  before: readonly FieldRow[],
  now: readonly FieldRow[],
): Choices {
  const shown = new Map(before.map((row) => [row.field, row]));
  const kept = now.flatMap(({ field, server, device }) => {
    const choice = choices.get(field);
    const row = shown.get(field);
    const isSame = row && sameCell(row.server, server) && sameCell(row.device, device);
    return choice && isSame ? [[field, choice] as const] : [];
  });
  return new Map(kept);
}

export interface Merged {
  /** Fields that nobody has decided. */
  readonly undecided: readonly string[];
  /** Fields with something typed that is no JSON. */
  readonly invalid: readonly string[];
  /** The entity afterwards, null where it is deleted. Complete only when both lists are empty. */
  readonly data: JsonObject | null;
}

/** @param rows of these sides */
export function mergeRows(sides: Sides, rows: readonly FieldRow[], choices: Choices): Merged {
  const results = rows.map((row) => ({ field: row.field, result: resultOf(row, choices) }));
  const fieldsOf = (kind: Result['kind']): string[] =>
    results.flatMap(({ field, result }) => (result.kind === kind ? [field] : []));
  const values = results.flatMap(({ field, result }) =>
    result.kind === 'value' ? [[field, result.value] as const] : [],
  );
  const [whole] = values;
  return {
    undecided: fieldsOf('undecided'),
    invalid: fieldsOf('invalid'),
    data: isWhole(sides) ? ((whole?.[1] ?? null) as JsonObject | null) : Object.fromEntries(values),
  };
}

/**
 * What to ask the server for. Whoever took one side asks for that side and not for a copy of it, so that the
 * record says so; a copy would also overwrite what this device cannot see.
 * @returns null while something is undecided or invalid
 */
export function resolutionOf(sides: Sides, rows: readonly FieldRow[], choices: Choices): Resolution | null {
  const { undecided, invalid, data } = mergeRows(sides, rows, choices);
  if (undecided.length > 0 || invalid.length > 0) return null;
  const { suggested, suggestionId } = sides;
  const usesSuggestion = rows.some((row) => choices.get(row.field)?.from === 'suggestion');
  if (usesSuggestion && suggestionId !== undefined && suggested !== undefined && isSame(data, suggested)) {
    return { kind: 'accept_suggestion', suggestionId };
  }
  if (isSame(data, sides.server)) return { kind: 'keep_server' };
  if (isSame(data, sides.device) || data === null) return { kind: 'keep_client' };
  return { kind: 'merged', data };
}

function isSame(one: JsonObject | null, other: JsonObject | null): boolean {
  return deepEqualJson(one, other);
}
