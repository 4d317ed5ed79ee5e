/** Bounds of {@link backoffMs}. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Pause before attempt `attempt` (1 = the first repetition): doubled each time, capped, the upper half
 * random, so that those which failed together do not come back together (Brooker, "Exponential Backoff And
 * Jitter", AWS 2015).
 * @param random in [0, 1)
 */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random: number): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(full * (0.5 + random / 2));
}
