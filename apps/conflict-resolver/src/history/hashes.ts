import { type JsonValue, canonicalJson } from '@sync/domain';
import { hashText } from '@sync/postgres';
import { type VectorClock, canonicalClockJson } from '@sync/vector-clock';

/** SHA-256 of the canonical JSON of a value, 64 lower-case hex digits: equal exactly for equal values. */
export function hashJson(value: JsonValue): string {
  return hashText(canonicalJson(value));
}

/**
 * SHA-256 of a clock's canonical JSON. A suggestion holds while its entity's clock has the hash it was made
 * for.
 */
export function hashClock(clock: VectorClock): string {
  return hashText(canonicalClockJson(clock));
}
