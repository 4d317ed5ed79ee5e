import type { Clock } from './clock.ts';

/** A clock that goes on when a test says so. */
export class HandClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<{ atMs: number; readonly run: () => void }>();

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Somebody sets it; timers do not count by it, and wait for as long as before. */
  set(nowMs: number): void {
    const timers = [...this.#timers];
    const byMs = nowMs - this.#nowMs;
    this.#nowMs = nowMs;
    for (const timer of timers) timer.atMs += byMs;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Goes on by so much, and runs what is due on the way, in its order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((one, other) => one.atMs - other.atMs);
      if (!next || next.atMs > untilMs) break;
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = untilMs;
  }
}
