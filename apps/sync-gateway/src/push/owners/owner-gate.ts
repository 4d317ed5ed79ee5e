import { FIRST_PACE, type Pace, quicken, slowDown } from './owner-pace.ts';

/** Enough for every push and every dispatcher of a replica; what is beyond comes again. */
const MAX_WAITING = 1_000;

/**
 * Keeps an owner from having more of this gateway in hand than it can do: a request counts until it is
 * answered, however long its sender waited for that. Without it every time-out brought one more request to an
 * owner that still worked on the first.
 */
export class OwnerGate {
  #pace: Pace = FIRST_PACE;
  #inHand = 0;
  #late = 0;
  readonly #waiting = new Set<() => void>();

  get limit(): number {
    return Math.floor(this.#pace.limit);
  }

  /** All that may be in hand is late already: who cannot wait for long need not begin to. */
  get isStuck(): boolean {
    return this.#late >= this.limit;
  }

  /**
   * Waits for a turn. Whoever gets true must call {@link leave} when the owner has answered, or never will.
   * @param untilMs epoch milliseconds
   */
  async enter(untilMs: number): Promise<boolean> {
    if (this.#inHand < this.limit && this.#waiting.size === 0) {
      this.#inHand += 1;
      return true;
    }
    const leftMs = untilMs - Date.now();
    if (leftMs <= 0 || this.#waiting.size >= MAX_WAITING) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const turn = (): void => resolve(true);
    const timer = setTimeout(() => resolve(!this.#waiting.delete(turn)), leftMs);
    this.#waiting.add(turn);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Its sender does not wait any more, the owner may still work on it. */
  late(sentAtMs: number): void {
    this.#late += 1;
    this.#pace = slowDown(this.#pace, sentAtMs, Date.now());
  }

  /** @param answer `none`: it says nothing of how much the owner can do */
  leave(sentAtMs: number, answer: 'in time' | 'late' | 'none', wasLate: boolean): void {
    if (wasLate) this.#late -= 1;
    if (answer === 'in time') this.#pace = quicken(this.#pace);
    else if (answer === 'late') this.#pace = slowDown(this.#pace, sentAtMs, Date.now());
    this.#inHand -= 1;
    for (const turn of this.#waiting) {
      if (this.#inHand >= this.limit) return;
      this.#inHand += 1;
      this.#waiting.delete(turn);
      turn();
    }
  }
}
