import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/** An offending place: `path` is a JSON Pointer (RFC 6901) into the value that was checked. */
export interface SchemaFault {
  readonly path: string;
  readonly message: string;
}

export type Validated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly SchemaFault[] };

const MAX_FAULTS = 20;

/**
 * Compiles a schema once into a checker; unknown fields are left alone (the additive rule of protocol v1).
 * @returns a function that answers the same value, typed, or at most 20 offending paths
 */
export function validator<T extends TSchema>(schema: T): (value: unknown) => Validated<Static<T>> {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return { ok: true, value: value as Static<T> };
    const faults = new Map<string, string>();
    for (const error of compiled.Errors(value)) {
      const path = pathOf(error);
      if (!faults.has(path)) faults.set(path, error.message);
      if (faults.size >= MAX_FAULTS) break;
    }
    return { ok: false, faults: [...faults].map(([path, message]) => ({ path, message })) };
  };
}

/** A missing field is reported at its parent with the names in `params`; callers want the field's own path. */
function pathOf(error: { instancePath: string; params: object }): string {
  const missing = (error.params as { requiredProperties?: readonly string[] }).requiredProperties?.[0];
  return missing === undefined ? error.instancePath : `${error.instancePath}/${missing}`;
}
