/** Bounds of {@link backoffMs}. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Pause before attempt `attempt` (1 = the first repetition): doubled each time, capped, the upper half
 * random, so that workers which failed together do not come back together.
 */
export function backoffMs(
  attempt: number,
  { baseMs, capMs }: Backoff,
  random: () => number = Math.random,
): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(full * (0.5 + random() / 2));
}

/**
 * A wake-up that is never lost and coalesces: `wake` before `sleep` makes that `sleep` return at once, many
 * `wake`s count as one. Its loops therefore never need to poll quickly.
 */
export class Wakeup {
  #signalled = false;
  #resume: (() => void) | undefined;

  wake(): void {
    this.#signalled = true;
    this.#resume?.();
  }

  /** Returns after `ms`, or as soon as somebody wakes. One sleeper at a time. */
  async sleep(ms: number): Promise<void> {
    if (!this.#signalled) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#resume = undefined;
    }
    this.#signalled = false;
  }
}
