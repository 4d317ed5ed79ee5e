import { isJsonObject, type JsonObject, type JsonValue, readJson } from '@sync/domain';
import { type ChainAnchor, type ChainPoint, hashText, positionAfter, type StoredLink } from './links.ts';

/**
 * What is wrong with a chain. `entry_altered`: the text is not what was hashed. `link_broken`: it names
 * another hash than that of the link before it. `anchor_altered`: the end is not what was counted.
 */
export interface ChainFault {
  readonly position: string;
  readonly fault: 'entry_missing' | 'entry_altered' | 'link_broken' | 'anchor_altered';
  readonly detail: string;
}

/**
 * Checks one link against the one before it: no position is missing, the text still has its hash, and it
 * names the hash before it. Pure.
 */
export function linkFault(link: StoredLink, before: ChainPoint): ChainFault | null {
  const { position, text, hash } = link;
  const expected = positionAfter(before.position);
  if (position !== expected) {
    const detail = `position ${expected} is missing; the next one is ${position}`;
    return { position: expected, fault: 'entry_missing', detail };
  }
  if (hashText(text) !== hash)
    return { position, fault: 'entry_altered', detail: 'the entry is not what was hashed' };
  if (entryIn(text)['previous'] !== before.hash) {
    const detail = 'it does not name the hash of the entry before it';
    return { position, fault: 'link_broken', detail };
  }
  return null;
}

/**
 * Compares where a chain ends with what was counted when its links were added. Pure.
 * @param end the last link that is there
 * @returns null when nothing was cut off and nothing put on
 */
export function endFault(anchor: ChainAnchor | null, end: ChainPoint): ChainFault | null {
  const there = BigInt(end.position);
  const counted = BigInt(anchor?.entries ?? '0');
  if (there < counted) {
    const detail = `the history ends at ${end.position}; ${counted.toString()} entries were added`;
    return { position: positionAfter(end.position), fault: 'entry_missing', detail };
  }
  if (there === counted && end.hash === (anchor?.hash ?? '')) return null;
  const detail =
    anchor === null
      ? 'there is no count of the entries that were added'
      : `the history does not end with the entry that was added last, the ${counted.toString()}.`;
  return { position: end.position, fault: 'anchor_altered', detail };
}

/** The fields of a link. A text whose hash fits was written by us; what is no JSON object has no fields. */
export function entryIn(text: string): JsonObject {
  try {
    const value = readJson(text) as JsonValue;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
