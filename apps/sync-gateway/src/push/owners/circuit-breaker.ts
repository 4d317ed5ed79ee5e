/** Bounds of {@link CircuitBreaker}. */
export interface BreakerLimits {
  /** Consecutive failures that open it. */
  readonly failures: number;
  /** How long it stays open before one request may probe. */
  readonly openMs: number;
}

/**
 * Keeps requests from an owner that does not answer: while it is open nobody waits for a time-out, mutations
 * are `accepted` at once, and the owner is not hit by everybody at the moment it comes back.
 *
 * closed → (`failures` in a row) → open → (`openMs`) → half-open: one probe → closed, or open again.
 */
export class CircuitBreaker {
  readonly #limits: BreakerLimits;
  #failures = 0;
  #openUntilMs = 0;
  #probing = false;

  constructor(limits: BreakerLimits) {
    this.#limits = limits;
  }

  get isOpen(): boolean {
    return this.#failures >= this.#limits.failures;
  }

  /** Whether nothing may be sent now: there is no use in waiting for a turn. */
  refuses(nowMs: number): boolean {
    return this.isOpen && (this.#probing || nowMs < this.#openUntilMs);
  }

  /** Whether a request may be sent now. Whoever gets true must report `succeed` or `fail`. */
  allow(nowMs: number): boolean {
    if (this.refuses(nowMs)) return false;
    this.#probing = this.isOpen;
    return true;
  }

  succeed(): void {
    this.#failures = 0;
    this.#probing = false;
  }

  fail(nowMs: number): void {
    this.#failures += 1;
    this.#probing = false;
    if (this.isOpen) this.#openUntilMs = nowMs + this.#limits.openMs;
  }
}
