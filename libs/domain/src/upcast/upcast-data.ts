import type { MutationOp } from '../entity.ts';
import { deepEqualJson, isJsonObject, readField } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { readPath } from '../projection/scope-template.ts';
import type { UpcastStep } from './upcaster.ts';

/**
 * Applies the steps of one upcaster to a mutation's data, one after the other. Total: any object and any
 * steps give an object, and the same ones the same. Changes nothing it is given.
 * @param op whose data it is: a patch names some fields, and gets no defaults for the others
 */
export function upcastData(data: JsonObject, op: MutationOp, steps: readonly UpcastStep[]): JsonObject {
  return steps.reduce((lifted, step) => apply(lifted, op, step), data);
}

function apply(data: JsonObject, op: MutationOp, step: UpcastStep): JsonObject {
  const path = step.field.split('.');
  const value = readPath(data, path);
  if (step.kind === 'default') {
    const whole = op === 'put' || op === 'append';
    return whole && value === undefined ? withField(data, step.field, step.value) : data;
  }
  if (value === undefined) return data;
  switch (step.kind) {
    case 'rename':
    case 'move':
      return withField(withoutPath(data, path), step.to, value);
    case 'remove':
      return withoutPath(data, path);
    case 'replace': {
      const found = step.values.find(({ from }) => deepEqualJson(from, value));
      return found ? withField(data, step.field, found.to) : data;
    }
  }
}

// Built from entries: assigning would call the setter of `__proto__`, and a spread keeps it an own field only
// by luck.
function withField(data: JsonObject, field: string, value: JsonValue): JsonObject {
  const others = Object.entries(data).filter(([name]) => name !== field);
  return Object.fromEntries([...others, [field, value]]);
}

/** The path leads to a value: it was read. As deep as a path is long, so recursion is bounded. */
function withoutPath(data: JsonObject, [field = '', ...rest]: readonly string[]): JsonObject {
  const nested = readField(data, field);
  if (rest.length > 0 && isJsonObject(nested)) {
    return Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, name === field ? withoutPath(nested, rest) : value]),
    );
  }
  return Object.fromEntries(Object.entries(data).filter(([name]) => name !== field));
}
