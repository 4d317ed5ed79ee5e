import { sortKeys } from '@sync/domain';
import type { LocalMutation } from '@sync/protocol';

/** In code point order, which makes the outer object canonical as it is built. */
const KNOWN_FIELDS = [
  'baseClock',
  'data',
  'dependsOn',
  'entityId',
  'entityType',
  'mutationId',
  'occurredAt',
  'op',
  'schemaVersion',
  'scope',
  'sequence',
  'update',
] as const satisfies readonly (keyof LocalMutation)[];

/** A mutation's text as it is stored, and its `data` alone (`null` where it has none). */
export interface CanonicalPayload {
  readonly text: string;
  readonly data: string;
}

/**
 * The canonical JSON of the fields of a LocalMutation that protocol v1 knows: a device that sends a mutation
 * again may have written its keys in another order, or have been updated to a version that adds a field.
 *
 * The depth of a body is bounded before it gets here.
 */
export function canonicalPayload(mutation: Readonly<Record<string, unknown>>): CanonicalPayload {
  const known: Record<string, unknown> = {};
  for (const field of KNOWN_FIELDS) {
    if (mutation[field] !== undefined) known[field] = sortKeys(mutation[field]);
  }
  return { text: JSON.stringify(known), data: JSON.stringify(known['data'] ?? null) };
}
