/** How much work somebody may cause. */
export interface WorkLimit {
  /** Milliseconds of the gateway's work in a second. */
  readonly msPerSecond: number;
  /** Milliseconds of work that may be caused at once after a time of rest. */
  readonly burstMs: number;
}

/** Far more than one replica works for within the time in which a bucket becomes full again. */
const MAX_BUCKETS = 100_000;
/** Buckets looked at per charge, so that full ones leave as fast as others come. */
const SWEPT_PER_CHARGE = 2;

/**
 * Token buckets of one kind, one per key, as the generic cell rate algorithm keeps them (ITU-T I.371): not a
 * level but the moment at which the bucket will be full again, so that nothing has to be refilled.
 *
 * What a request costs is known only when it is done. So one is let in while its bucket is not in debt, and
 * pays afterwards: a dear one holds up the next. A full bucket is the same as none; only those that are not
 * full are in memory.
 */
export class TokenBuckets {
  readonly #limit: WorkLimit;
  readonly #maxBuckets: number;
  /** From empty to full. */
  readonly #fillMs: number;
  /** Monotonic; the one that was charged longest ago first. */
  readonly #fullAtMs = new Map<string, number>();

  constructor(limit: WorkLimit, maxBuckets = MAX_BUCKETS) {
    this.#limit = limit;
    this.#maxBuckets = maxBuckets;
    this.#fillMs = (limit.burstMs / limit.msPerSecond) * 1_000;
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  /**
   * How long until the bucket is out of debt: 0 when a request may come now.
   * @param nowMs monotonic clock
   */
  debtMs(key: string, nowMs: number): number {
    return Math.max(0, (this.#fullAtMs.get(key) ?? 0) - nowMs - this.#fillMs);
  }

  /** @param workMs milliseconds of work; negative gives back what was charged too much */
  charge(key: string, workMs: number, nowMs: number): void {
    const fullAtMs = Math.max(this.#fullAtMs.get(key) ?? 0, nowMs);
    const after = fullAtMs + (workMs / this.#limit.msPerSecond) * 1_000;
    this.#fullAtMs.delete(key);
    if (after > nowMs) this.#fullAtMs.set(key, after);
    this.#sweep(nowMs);
  }

  #sweep(nowMs: number): void {
    let left = SWEPT_PER_CHARGE;
    for (const [key, fullAtMs] of this.#fullAtMs) {
      if (left === 0) return;
      left -= 1;
      if (fullAtMs <= nowMs || this.#fullAtMs.size > this.#maxBuckets) this.#fullAtMs.delete(key);
    }
  }
}
