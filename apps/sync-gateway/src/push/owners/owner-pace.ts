import { LIMITS } from '@sync/protocol';

/** How many requests of this gateway an owner may have in hand at once, as its answers teach. */
export interface Pace {
  /** At least 1; its whole part counts. */
  readonly limit: number;
  /** Epoch milliseconds at which it was last made smaller. */
  readonly shrunkAtMs: number;
}

/** What one process on the SDK works on at once; the rest would wait there. */
const FIRST_LIMIT = 32;
/** For owners of several processes. */
const MAX_LIMIT = 128;

export const FIRST_PACE: Pace = { limit: FIRST_LIMIT, shrunkAtMs: 0 };

/** After an answer in time: one more for each round of answers, as TCP does (RFC 5681, 3.1). */
export function quicken({ limit, shrunkAtMs }: Pace): Pace {
  return { limit: Math.min(MAX_LIMIT, limit + 1 / limit), shrunkAtMs };
}

/**
 * After an answer that was late, or never came: half as many. What was sent before that was learnt says the
 * same once more, and changes nothing.
 */
export function slowDown(pace: Pace, sentAtMs: number, nowMs: number): Pace {
  return sentAtMs < pace.shrunkAtMs ? pace : { limit: Math.max(1, pace.limit / 2), shrunkAtMs: nowMs };
}

/**
 * How many mutations of a type go in one request: after one of `sent` that was answered, one more; in time,
 * twice as many.
 */
export function growBatch(most: number, sent: number, inTime: boolean): number {
  if (sent < most) return most;
  return Math.min(LIMITS.mutationsPerPush, inTime ? most * 2 : most + 1);
}

/** After one of `sent` that was not answered at all: half of that. */
export function shrinkBatch(most: number, sent: number): number {
  return Math.max(1, Math.min(most, Math.floor(sent / 2)));
}
