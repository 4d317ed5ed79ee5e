import { runInNewContext } from 'node:vm';
import type { JsonValue } from '@sync/domain';
import type { ContestedField } from './conflict-material.ts';

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

/** For all fields together: nothing else happens in the process meanwhile. */
const MATCH_TIMEOUT_MS = 200;

/**
 * Takes out every field that a rule touches, on any of its three sides, whole: a suggestion for half a text would have to be joined with the
 * half that was held back, and what is never asked for can never be overwritten.
 *
 * Patterns come from a tenant's administrator, and JavaScript's regular expressions can run for years. They run under a time limit (V8 ends them
 * inside the match), and a field whose check did not end counts as touched.
 */
export function redactMaterial(fields: readonly ContestedField[], rules: RedactionRules): Redacted {
  const names = new Set(rules.fields.map((name) => name.toLowerCase()));
  const untilMs = performance.now() + MATCH_TIMEOUT_MS;
  const kept: ContestedField[] = [];
  const removed: string[] = [];
  for (const contested of fields) {
    const texts = textsOf(contested);
    const touched =
      texts.names.some((name) => names.has(name.toLowerCase())) ||
      matchesAny(rules.patterns, [...texts.names, ...texts.values], untilMs);
    if (touched) removed.push(contested.field);
    else kept.push(contested);
  }
  return { kept, removed };
}

/** @throws SyntaxError naming the pattern that is no regular expression */
export function checkPatterns(patterns: readonly string[]): void {
  for (const pattern of patterns) new RegExp(pattern, 'iu');
}

function matchesAny(patterns: readonly string[], texts: readonly string[], untilMs: number): boolean {
  if (patterns.length === 0) return false;
  const timeout = Math.floor(untilMs - performance.now());
  if (timeout < 1) return true;
  const expressions = patterns.map((pattern) => new RegExp(pattern, 'iu'));
  try {
    return (
      runInNewContext(
        'expressions.some((expression) => texts.some((text) => expression.test(text)))',
        { expressions, texts },
        { timeout },
      ) === true
    );
  } catch {
    // Ran out of time: not knowing is treated as a match.
    return true;
  }
}

/** Every name and every scalar as text; iterative, like all walkers of untrusted JSON. */
function textsOf(contested: ContestedField): { names: string[]; values: string[] } {
  const names = [contested.field];
  const values: string[] = [];
  const pending: JsonValue[] = [contested.base, contested.ours, contested.theirs].filter(
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
