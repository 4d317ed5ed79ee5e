import { MAX_REPLICA_ID_LENGTH, isReplicaId } from './replica-id.ts';
import { MAX_CLOCK_ENTRIES } from './vector-clock.ts';
import type { VectorClock } from './vector-clock.ts';

/**
 * The result of `parseClock`. `path` is a JSON Pointer (RFC 6901) into the clock, `''` for the clock itself;
 * a key is cut to 80 code points there, so that hostile input does not travel on in error messages.
 */
export type ParsedClock =
  | { readonly ok: true; readonly clock: VectorClock }
  | { readonly ok: false; readonly path: string; readonly reason: string };

/**
 * Checks a value from outside (already parsed JSON) and returns it as a clock of its own, frozen, zero
 * entries dropped. The limit of 256 entries counts zero entries too: it bounds the input, not the meaning.
 */
export function parseClock(value: unknown): ParsedClock {
  if (!isPlainObject(value)) return { ok: false, path: '', reason: 'must be an object' };
  // Own enumerable keys only, as JSON.parse makes them; `__proto__` arrives here as a key and fails the
  // pattern.
  const entries = Object.entries(value);
  if (entries.length > MAX_CLOCK_ENTRIES) {
    return { ok: false, path: '', reason: `must have at most ${MAX_CLOCK_ENTRIES} entries` };
  }
  const counters: [string, number][] = [];
  for (const [replicaId, counter] of entries) {
    const reason = refuseEntry(replicaId, counter);
    if (reason !== null) return { ok: false, path: pointerTo(replicaId), reason };
    if (counter !== 0) counters.push([replicaId, counter as number]);
  }
  return { ok: true, clock: Object.freeze(Object.fromEntries(counters)) };
}

function refuseEntry(replicaId: string, counter: unknown): string | null {
  if (!isReplicaId(replicaId)) {
    return `key must be d:<deviceId> or s:<service>, at most ${MAX_REPLICA_ID_LENGTH} characters`;
  }
  if (!Number.isSafeInteger(counter) || (counter as number) < 0) {
    return 'counter must be an integer between 0 and 2^53-1';
  }
  return null;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  // `=== Object.prototype` would refuse objects of another realm (a worker, a vm context), which are just as
  // plain.
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (!Array.isArray(value) && Object.getPrototypeOf(prototype) === null);
}

function pointerTo(key: string): string {
  const cut = Array.from(key.slice(0, 160)).slice(0, 80).join('');
  return `/${cut.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
