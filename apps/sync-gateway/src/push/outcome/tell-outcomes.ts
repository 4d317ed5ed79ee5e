import { acceptedText } from './outcome-text.ts';

/** An outcome that is about to be sent. */
export interface Telling {
  readonly mutationId: string;
  /** Its wire text, without `current` where that stands beside it. */
  readonly text: string;
  readonly shown: ShownEntity | null;
  /** The ledger has it: it may as well be told by a pull. */
  readonly isKept: boolean;
  /** Of its mutation, where the user holds it; null: not to be named (PUSH-26). */
  readonly scope: string | null;
}

/** An entity that outcomes show. */
export interface ShownEntity {
  /** JSON text of a RemoteDelta; null: there was no room to read it. */
  readonly wire: string | null;
}

/** Up to this length an entity is small: it stands in the stored outcome itself, and in each that is told. */
export const INLINE_LENGTH = 4_096;
/** Of the entities that one answer shows; the same in shown-outcomes.sql. */
export const SHOWN_BYTES = 8 * 1024 * 1024;
/** Of the large ones that it shows more than once, which clients of releases before `currentOf` expect. */
const COPIES_BYTES = 256 * 1024;

/**
 * The outcomes of one answer, as texts in their order (PUSH-20): a large entity stands in the first of its
 * outcomes, and the others name that one. Those whose entity has no room are `accepted`: a pull will bring
 * them. What is kept nowhere goes without its entity then.
 * @param maxBytes of all entities together; the first always has room
 */
export function tellOutcomes(tellings: readonly Telling[], maxBytes = SHOWN_BYTES): string[] {
  // By the text of the entity: one that was stored earlier may show it as it was then.
  const carriers = new Map<string, string>();
  let bytesLeft = maxBytes;
  let copiesLeft = COPIES_BYTES;
  let isFirst = true;
  const told = tellings.map(({ mutationId, text, shown, isKept }) => {
    if (shown === null) return text;
    const { wire } = shown;
    const carrier = wire === null ? undefined : carriers.get(wire);
    const bytes = wire === null ? 0 : Buffer.byteLength(wire);
    if (wire !== null && carrier !== undefined) {
      if (bytes > copiesLeft) return withMember(text, 'currentOf', `"${carrier}"`);
      copiesLeft -= bytes;
      return withMember(text, 'current', wire);
    }
    if (wire === null || (bytes > bytesLeft && !isFirst)) return isKept ? acceptedText(mutationId) : text;
    isFirst = false;
    bytesLeft -= bytes;
    if (bytes > INLINE_LENGTH) carriers.set(wire, mutationId);
    return withMember(text, 'current', wire);
  });
  // Scopes are of an alphabet that needs no escaping.
  return told.map((text, place) => {
    const scope = tellings[place]?.scope ?? null;
    return scope === null ? text : withMember(text, 'scope', `"${scope}"`);
  });
}

/** @param text of a JSON object, not empty; @param value JSON text */
export function withMember(text: string, name: string, value: string): string {
  return `${text.slice(0, -1)},"${name}":${value}}`;
}

const SHOWS_NOTHING = /^\{"mutationId":"[^"]*","status":"(?:applied|accepted)"/;
const CURRENT = ',"current":';

/**
 * @param text of an outcome. Nothing in front of `current` can hold that word in this form.
 * @returns the text without the entity that it shows; null for an outcome that shows none
 */
export function withoutCurrent(text: string): string | null {
  if (SHOWS_NOTHING.test(text)) return null;
  const end = text.indexOf(CURRENT);
  return end < 0 ? text : `${text.slice(0, end)}}`;
}
