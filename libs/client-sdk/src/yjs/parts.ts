import { LIMITS } from '@sync/protocol/device';
import * as Y from 'yjs';

/** Of one pushed update; the protocol counts the letters of its base64. */
export const MAX_UPDATE_BYTES = (LIMITS.updateLength / 4) * 3;
/** Owners refuse more in one update (docs/guides/write-a-client.md › Documents). */
export const MAX_NESTED_TYPES = 500;
/** Of an increment that others are joined to: each of them writes it anew, whole. */
const JOINED_BYTES = 8_192;
/** What merging may add: a gap between two updates is written down. */
const MERGED_BYTES = 1_024;

/**
 * Merges updates into as few as can be pushed, in their order. One that is too large by itself stays alone.
 * @param updates Yjs updates v1
 */
export function partsOf(updates: readonly Uint8Array[], maxBytes = MAX_UPDATE_BYTES): Uint8Array[] {
  const parts: Uint8Array[][] = [];
  let [bytes, types] = [Infinity, 0];
  for (const update of updates) {
    const nested = nestedTypes(update);
    bytes += update.length;
    types += nested;
    const last = parts.at(-1);
    if (last && bytes + MERGED_BYTES <= maxBytes && types <= MAX_NESTED_TYPES) last.push(update);
    else {
      parts.push([update]);
      [bytes, types] = [update.length, nested];
    }
  }
  return parts.map((part) => Y.mergeUpdates(part));
}

/** @returns both as one; null where it would be too large to be written anew with each increment */
export function joined(before: Uint8Array, next: Uint8Array): Uint8Array | null {
  const [both, ...others] = partsOf([before, next], JOINED_BYTES);
  return both && others.length === 0 ? both : null;
}

function nestedTypes(update: Uint8Array): number {
  const { structs } = Y.decodeUpdate(update);
  return structs.filter((each) => 'content' in each && each.content instanceof Y.ContentType).length;
}

/** Whether a document has what the sessions of an update wrote before it. */
export function continues(doc: Y.Doc, update: Uint8Array): boolean {
  const { from } = Y.parseUpdateMeta(update);
  return [...from].every(([client, clock]) => Y.getState(doc.store, client) >= clock);
}
