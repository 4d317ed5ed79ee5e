import { shorten } from '@sync/domain';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { MAX_PATH_LENGTH } from './limits.ts';

/** An offending place: `path` is a JSON Pointer (RFC 6901) into the value that was checked. */
export interface SchemaFault {
  readonly path: string;
  readonly message: string;
}

export type Validated<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly SchemaFault[] };

/**
 * Compiles a schema once into a checker; unknown fields are left alone (the additive rule of protocol v1).
 * @returns a function that answers the same value, typed, or its offending paths: at least one, at most 8
 * (TypeBox stops there)
 */
export function validator<T extends TSchema>(schema: T): (value: unknown) => Validated<Static<T>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return { ok: true, value };
    const faults = new Map<string, string>();
    for (const error of compiled.Errors(value)) {
      // The parent of a forbidden key is reported besides the key itself.
      if (error.keyword === 'additionalProperties') continue;
      const message = error.keyword === 'boolean' ? 'this key is not allowed' : error.message;
      for (const path of pathsOf(error)) if (!faults.has(path)) faults.set(path, message);
    }
    return { ok: false, faults: [...faults].map(([path, message]) => ({ path, message })) };
  };
}

/**
 * Like {@link validator}, for callers that have an error path already, such as `decode` of a request.
 * @param name of what is expected, for people
 * @returns a function that answers the same value, typed; it throws a TypeError that names the first
 * offending path
 */
export function decoder<T extends TSchema>(schema: T, name: string): (value: unknown) => Static<T> {
  const check = validator(schema);
  return (value) => {
    const checked = check(value);
    if (checked.ok) return checked.value;
    const [fault] = checked.faults;
    throw new TypeError(`${fault?.path ?? ''}: ${fault?.message ?? `not ${name}`}`);
  };
}

/**
 * Missing fields are reported at their parent with the names in `params`; callers want each field's own path.
 */
function pathsOf(error: { instancePath: string; params: object }): string[] {
  const missing = (error.params as { requiredProperties?: readonly string[] }).requiredProperties;
  const paths = missing?.map((name) => `${error.instancePath}/${name}`) ?? [error.instancePath];
  return paths.map((path) => shorten(path, MAX_PATH_LENGTH));
}
