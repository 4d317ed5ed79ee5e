import type { Clock } from './clock.ts';

/**
 * A device's time that never goes back: whoever waits for a moment of it does not wait for a year because
 * somebody has set the clock back by one. Where it is set forward, what waits is tried early, once.
 */
export class SteadyTime {
  readonly #clock: Clock;
  #lastMs = -Infinity;
  /** By how much it is before the clock. */
  aheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    const nowMs = this.#clock.now();
    if (nowMs < this.#lastMs) this.aheadMs += this.#lastMs - nowMs;
    this.#lastMs = nowMs;
    return nowMs + this.aheadMs;
  }
}
