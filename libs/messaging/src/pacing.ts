/** Bounds of {@link IdlePause}. */
export interface IdlePauses {
  readonly busyMs: number;
  readonly idleMs: number;
}

/**
 * The pauses of work that looks for what nobody may have told it of: `busyMs` after it found something, then
 * twice as long each time that it finds nothing, up to `idleMs`. What waits for such a look has had a hint as
 * a rule; where the hint got lost it waits for one long pause at the most.
 */
export class IdlePause {
  readonly #busyMs: number;
  readonly #idleMs: number;
  #nextMs: number;

  constructor({ busyMs, idleMs }: IdlePauses) {
    this.#busyMs = busyMs;
    this.#idleMs = idleMs;
    this.#nextMs = busyMs;
  }

  /** @returns for how many milliseconds to pause after a look */
  after(found: boolean): number {
    const pauseMs = found ? this.#busyMs : this.#nextMs;
    this.#nextMs = Math.min(2 * pauseMs, this.#idleMs);
    return pauseMs;
  }

  /** Something has happened: the next pauses are short again. */
  reset(): void {
    this.#nextMs = this.#busyMs;
  }
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
