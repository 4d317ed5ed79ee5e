/**
 * Tenants that have asked for something of late. One whose request is slow, or whose device pauses between two,
 * is still here: otherwise those who are served slowest would not count.
 */
export class PresentTenants {
  readonly #forMs: number;
  /** When each came last, monotonic; whoever came longest ago first. */
  readonly #cameAtMs = new Map<string, number>();

  /** @param forMs how long one counts after it came */
  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  note(tenantId: string, nowMs: number): void {
    this.#cameAtMs.delete(tenantId);
    this.#cameAtMs.set(tenantId, nowMs);
  }

  count(nowMs: number): number {
    for (const [tenantId, cameAtMs] of this.#cameAtMs) {
      if (cameAtMs + this.#forMs > nowMs) break;
      this.#cameAtMs.delete(tenantId);
    }
    return this.#cameAtMs.size;
  }
}
