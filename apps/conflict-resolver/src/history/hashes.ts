import { hash } from 'node:crypto';
import { type JsonValue, canonicalJson } from '@sync/domain';
import { type VectorClock, canonicalClockJson } from '@sync/vector-clock';

/** SHA-256 of the canonical JSON of a value, 64 lower-case hex digits: equal exactly for equal values. */
export function hashJson(value: JsonValue): string {
  return hash('sha256', canonicalJson(value), 'hex');
}

/**
 * SHA-256 of a clock's canonical JSON. A suggestion holds while its entity's clock has the hash it was made
 * for.
 */
export function hashClock(clock: VectorClock): string {
  return hash('sha256', canonicalClockJson(clock), 'hex');
}

/** SHA-256 of a text, 64 lower-case hex digits. */
export function hashText(text: string): string {
  return hash('sha256', text, 'hex');
}
