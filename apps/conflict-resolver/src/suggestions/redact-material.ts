import type { JsonValue } from '@sync/domain';
import type { ContestedField } from './contested-field.ts';
import { matchPatterns } from './match-patterns.ts';

/** What of a tenant never leaves. */
export interface RedactionRules {
  /** Names of fields, at any depth, whatever their case. */
  readonly fields: readonly string[];
  /** Regular expressions (flags `iu`), matched against names and texts. */
  readonly patterns: readonly string[];
}

export interface Redacted {
  readonly kept: readonly ContestedField[];
  /** Names of the fields that were taken out whole. */
  readonly removed: readonly string[];
}

const MATCH_LIMIT_MS = 5_000;

/**
 * Takes out every field that a rule touches, on any of its sides, whole: a suggestion for half a text would
 * have to be joined with the half that was held back, and what is never asked for can never be overwritten.
 *
 * Patterns come from a tenant's administrator. When they do not come to an end in time, every field counts as
 * touched.
 */
export async function redactMaterial(
  fields: readonly ContestedField[],
  rules: RedactionRules,
  limitMs = MATCH_LIMIT_MS,
): Promise<Redacted> {
  const forbidden = new Set(rules.fields.map((name) => name.toLowerCase()));
  const texts = fields.map(textsOf);
  const groups = texts.map(({ names, values }) => [...names, ...values]);
  const matches = await matchPatterns(rules.patterns, groups, limitMs);
  const touched = texts.map(
    ({ names }, at) => matches?.[at] !== false || names.some((name) => forbidden.has(name.toLowerCase())),
  );
  return {
    kept: fields.filter((_field, at) => !touched[at]),
    removed: fields.filter((_field, at) => touched[at]).map(({ field }) => field),
  };
}

/** @throws SyntaxError naming the pattern that is no regular expression */
export function checkPatterns(patterns: readonly string[]): void {
  for (const pattern of patterns) new RegExp(pattern, 'iu');
}

/** Every name and every scalar as text; iterative, like all walkers of untrusted JSON. */
function textsOf(contested: ContestedField): { names: string[]; values: string[] } {
  const names = [contested.field];
  // `body:3` is a line of the text `body`: whoever holds back the one means the other.
  if (contested.merged !== undefined) names.push(contested.field.replace(/:\d+$/, ''));
  const values: string[] = [];
  const pending: JsonValue[] = [contested.base, contested.ours, contested.theirs, contested.merged].filter(
    (side) => side !== undefined,
  );
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (typeof next !== 'object' || next === null) {
      values.push(String(next));
      continue;
    }
    if (!Array.isArray(next)) names.push(...Object.keys(next));
    pending.push(...(Object.values(next) as JsonValue[]));
  }
  return { names, values };
}
