/**
 * How many full resyncs after digest mismatches one replica asks for: a fault that breaks every digest at
 * once must not make the whole fleet pull everything at once. The back-off of each scope is beside this, in
 * `ack.sql`.
 */
export class ResyncBudget {
  readonly #perMinute: number;
  #left: number;
  #sinceMs: number;

  /** @param nowMs monotonic clock */
  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = perMinute;
    this.#left = perMinute;
    this.#sinceMs = nowMs;
  }

  left(nowMs: number): number {
    if (nowMs - this.#sinceMs >= 60_000) {
      this.#left = this.#perMinute;
      this.#sinceMs = nowMs;
    }
    return Math.max(0, this.#left);
  }

  spend(resyncs: number): void {
    this.#left -= resyncs;
  }
}
