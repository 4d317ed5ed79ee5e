/** How long requests waited for a connection to Postgres, since somebody looked last. */
export class PoolWaits {
  #waits = 0;
  #sumMs = 0;

  /** @param waitedMs whether there was a connection in the end or not */
  note(waitedMs: number): void {
    this.#waits += 1;
    this.#sumMs += waitedMs;
  }

  /** @returns the mean, 0 when nobody asked for one; from now on it is counted anew */
  takeMeanMs(): number {
    const meanMs = this.#waits === 0 ? 0 : this.#sumMs / this.#waits;
    this.#waits = 0;
    this.#sumMs = 0;
    return meanMs;
  }
}
