/** How many full resyncs in a minute. */
export interface ResyncBounds {
  /** Of each tenant, whatever the others have used. */
  readonly ownPerMinute: number;
  /** Beyond that, of all tenants together. */
  readonly commonPerMinute: number;
}

const MINUTE_MS = 60_000;

/**
 * How many full resyncs after digest mismatches one replica asks for: a fault that breaks every digest at
 * once must not make the whole fleet pull everything at once. A tenant whose devices send digests that never
 * fit uses up what is common, and nothing of what others have for themselves. The back-off of each scope is
 * beside this, in `ack.sql`.
 */
export class ResyncBudget {
  readonly #bounds: ResyncBounds;
  /** In this minute, by tenant. */
  readonly #used = new Map<string, number>();
  #sinceMs: number;

  /** @param nowMs monotonic clock */
  constructor(bounds: ResyncBounds, nowMs: number) {
    this.#bounds = bounds;
    this.#sinceMs = nowMs;
  }

  left(tenantId: string, nowMs: number): number {
    if (nowMs - this.#sinceMs >= MINUTE_MS) {
      this.#used.clear();
      this.#sinceMs = nowMs;
    }
    const { ownPerMinute, commonPerMinute } = this.#bounds;
    let ofCommon = 0;
    for (const used of this.#used.values()) ofCommon += Math.max(0, used - ownPerMinute);
    const own = Math.max(0, ownPerMinute - (this.#used.get(tenantId) ?? 0));
    return own + Math.max(0, commonPerMinute - ofCommon);
  }

  spend(tenantId: string, resyncs: number): void {
    if (resyncs > 0) this.#used.set(tenantId, (this.#used.get(tenantId) ?? 0) + resyncs);
  }
}
