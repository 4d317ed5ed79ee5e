import { setTimeout as sleep } from 'node:timers/promises';

/** How long to try, and how. */
interface UntilOptions {
  readonly limitMs: number;
  readonly pauseMs: number;
  /** Goes on when an attempt throws: something may be away for a while. */
  readonly bearErrors?: boolean;
}

/**
 * Tries again until it holds. @throws Error naming what did not come about, with the last error as its cause
 */
export async function until(
  what: string,
  attempt: () => Promise<boolean>,
  { limitMs, pauseMs, bearErrors = false }: UntilOptions,
): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  let last: unknown;
  while (performance.now() < deadlineMs) {
    try {
      if (await attempt()) return;
    } catch (error) {
      if (!bearErrors) throw error;
      last = error;
    }
    await sleep(pauseMs);
  }
  throw new Error(`not within ${limitMs} ms: ${what}`, { cause: last });
}
