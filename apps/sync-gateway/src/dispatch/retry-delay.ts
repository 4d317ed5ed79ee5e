const BASE_MS = 500;
const CAP_MS = 60_000;
/** Of a mutation that its owner fails at: it waits for a release, not for a restart. */
const FAILING_CAP_MS = 15 * 60_000;

/**
 * Pause before the next attempt: doubled each time up to a minute (a quarter of an hour for what its owner
 * fails at), the upper half random, so that devices that failed together do not come back together (Brooker,
 * "Exponential Backoff And Jitter", AWS 2015).
 * @param attempt how many have been made, from 1
 * @param random in [0, 1)
 */
export function retryDelayMs(attempt: number, random: number, failing = false): number {
  const full = Math.min(failing ? FAILING_CAP_MS : CAP_MS, BASE_MS * 2 ** Math.min(attempt - 1, 20));
  return Math.round(full * (0.5 + random / 2));
}
