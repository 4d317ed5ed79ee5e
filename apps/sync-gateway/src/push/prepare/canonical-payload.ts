import { rfc8785Json, sortKeys } from '@sync/domain';
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
  /** Characters of fields that protocol v1 does not know, where they are stored because of a tag. */
  readonly unknownLength: number;
}

/** A mutation with a tag: what the tag covers, and the tag. */
export interface TaggedPayload {
  /** `taggedText` of the mutation. */
  readonly text: string;
  /** Base64. */
  readonly tag: string;
}

/**
 * The canonical JSON of the fields of a LocalMutation that protocol v1 knows: a device that sends a mutation
 * again may have written its keys in another order, or have been updated to a version that adds a field.
 *
 * Of a mutation with a tag, exactly what the tag covers (all its fields, as RFC 8785 writes them), and the tag
 * behind it: whoever verifies it later must have every byte.
 *
 * The depth of a body is bounded before it gets here.
 */
export function canonicalPayload(mutation: Readonly<Record<string, unknown>>): CanonicalPayload {
  const { tag, ...content } = mutation;
  const known: Record<string, unknown> = {};
  for (const field of KNOWN_FIELDS) {
    if (content[field] !== undefined) known[field] = sortKeys(content[field]);
  }
  const data = JSON.stringify(known['data'] ?? null);
  const text = JSON.stringify(known);
  if (tag === undefined) return { text, data, unknownLength: 0 };
  const isWhole = Object.keys(content).length === Object.keys(known).length;
  const covered = isWhole && !INTEGER_KEY.test(text) ? text : rfc8785Json(content);
  const unknownLength = isWhole ? 0 : covered.length - text.length;
  return { text: `${covered.slice(0, -1)},"tag":${JSON.stringify(tag)}}`, data, unknownLength };
}

/**
 * JavaScript puts keys that are integers in front, RFC 8785 where they belong. In text without spaces nothing
 * but a key stands so.
 */
const INTEGER_KEY = /[{,]"(?:0|[1-9]\d*)":/;

const TAG_AT_END = /,"tag":"([A-Za-z0-9+/]{43}=)"}$/;

/** @returns null where a payload of {@link canonicalPayload} has no tag */
export function splitTag(payload: string): TaggedPayload | null {
  const found = TAG_AT_END.exec(payload.slice(-TAG_LENGTH));
  const tag = found?.[1];
  return tag === undefined ? null : { text: `${payload.slice(0, -TAG_LENGTH)}}`, tag };
}

const TAG_LENGTH = ',"tag":""}'.length + 44;
