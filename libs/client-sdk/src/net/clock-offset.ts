/** When a request was under way by the device’s clock, and what the server’s said: milliseconds. */
export interface TimeSample {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly serverMs: number;
  /** How finely the server told it: 1, or 1,000 for whole seconds. */
  readonly precisionMs: number;
}

/**
 * How far the server’s clock is before the device’s. The server’s time was read at some moment between
 * sending and receiving, so each answer gives an interval that holds the offset; its middle is off by half a
 * round trip at the most. Intervals are intersected: a long poll says little, and takes nothing from what a
 * quick answer has said. One that does not meet those before means that a clock was set, and begins anew.
 */
export class ClockOffset {
  #least = -Infinity;
  #most = Infinity;

  note({ sentMs, receivedMs, serverMs, precisionMs }: TimeSample): void {
    // A clock that was set back meanwhile gives an interval all the same, only a wide one.
    const least = serverMs - Math.max(sentMs, receivedMs);
    const most = serverMs + precisionMs - Math.min(sentMs, receivedMs);
    const meets = least <= this.#most && most >= this.#least;
    this.#least = meets ? Math.max(least, this.#least) : least;
    this.#most = meets ? Math.min(most, this.#most) : most;
  }

  /** In milliseconds; null before the first answer. */
  get offsetMs(): number | null {
    return this.#most === Infinity ? null : Math.round((this.#least + this.#most) / 2);
  }
}
