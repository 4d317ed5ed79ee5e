import type { JsonValue } from '../json.ts';

/**
 * One declarative change of an entity's data from a version to the next; `to` and `field` name top-level
 * fields, unless said otherwise. A step whose field is not there does nothing.
 *
 * Every target is a top-level field: a `patch` sets whole top-level fields, so putting a value into a nested
 * object would need the rest of that object, which only the owner has. Such a version needs an upcaster of
 * the owner's.
 */
export type UpcastStep =
  /**
   * Under its new name; a value that stands there already gives way, because the older version knows no such
   * field.
   */
  | { readonly kind: 'rename'; readonly field: string; readonly to: string }
  /** Out of a nested object; `field` is a path, dots between names. */
  | { readonly kind: 'move'; readonly field: string; readonly to: string }
  /** `field` is a path. */
  | { readonly kind: 'remove'; readonly field: string }
  /**
   * Where a whole entity (`put`, `append`) lacks the field; never in a patch, which would overwrite what it
   * does not name.
   */
  | { readonly kind: 'default'; readonly field: string; readonly value: JsonValue }
  /** Values that are called otherwise now; any other value stays. */
  | {
      readonly kind: 'replace';
      readonly field: string;
      readonly values: readonly { readonly from: JsonValue; readonly to: JsonValue }[];
    };

/**
 * Lifts mutations of version `from` to `from + 1`: by steps, or by asking the owning service on `subject`.
 * Part of a SyncRegistration.
 */
export type Upcaster =
  | { readonly from: number; readonly steps: readonly UpcastStep[] }
  | { readonly from: number; readonly subject: string };

/** The upcasters from a version to another in their order, or the first version that none lifts. */
export type UpcastPlan<T = Upcaster> =
  { readonly ok: true; readonly chain: readonly T[] } | { readonly ok: false; readonly missing: number };

/**
 * @param from a mutation's schemaVersion
 * @param to the registered one; a `from` above it is missing itself: nothing lifts downwards
 */
export function planUpcast<T extends { readonly from: number }>(
  upcasters: readonly T[],
  from: number,
  to: number,
): UpcastPlan<T> {
  if (from > to) return { ok: false, missing: from };
  const chain: T[] = [];
  for (let version = from; version < to; version++) {
    const next = upcasters.find((upcaster) => upcaster.from === version);
    if (!next) return { ok: false, missing: version };
    chain.push(next);
  }
  return { ok: true, chain };
}
