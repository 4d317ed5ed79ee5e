/** How long a read may be under way and still be compared with what was forgotten meanwhile. */
const FORGOTTEN_KEPT_MS = 60_000;

/**
 * A bounded memory of facts read from the database, safe against reads that finish late.
 *
 * Procedure of a reader: take `turn` before the read, then `remember` the result with it. What was forgotten
 * in between is not remembered: the read may have seen the state before the change.
 *
 * Limits: `max` entries; a full memory refuses new ones instead of evicting, because what is unused leaves by
 * itself.
 *
 * **Invariant**: after `forget(key)`, `find(key)` answers only facts whose read began later.
 */
export class FactMemory<V> {
  readonly #max: number;
  readonly #facts = new Map<string, { value: V; usedAtMs: number }>();
  readonly #forgotten = new Map<string, { turn: number; atMs: number }>();
  #turn = 0;
  /** Reads that began before it are refused whatever their keys. */
  #oldestTurn = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#facts.size;
  }

  get turn(): number {
    return this.#turn;
  }

  has(key: string): boolean {
    return this.#facts.has(key);
  }

  find(key: string, nowMs: number): V | undefined {
    const fact = this.#facts.get(key);
    if (fact) fact.usedAtMs = nowMs;
    return fact?.value;
  }

  /**
   * @param alsoUnless another key whose forgetting concerns this fact, such as the user of a device
   */
  remember(key: string, value: V, turn: number, nowMs: number, alsoUnless?: string): void {
    if (turn < this.#oldestTurn || this.#isForgottenSince(key, turn)) return;
    if (alsoUnless !== undefined && this.#isForgottenSince(alsoUnless, turn)) return;
    if (this.#facts.size >= this.#max && !this.#facts.has(key)) return;
    this.#facts.set(key, { value, usedAtMs: nowMs });
  }

  forget(key: string, nowMs: number): void {
    this.#turn += 1;
    this.#facts.delete(key);
    // Last in the map is youngest: `dropUnused` stops at the first one to keep.
    this.#forgotten.delete(key);
    this.#forgotten.set(key, { turn: this.#turn, atMs: nowMs });
    if (this.#forgotten.size > this.#max) this.forgetAll();
  }

  forgetAll(): void {
    this.#turn += 1;
    this.#oldestTurn = this.#turn;
    this.#facts.clear();
    this.#forgotten.clear();
  }

  /** Drops what nobody asked for since `beforeMs`. */
  dropUnused(beforeMs: number, nowMs: number): void {
    for (const [key, fact] of this.#facts) if (fact.usedAtMs < beforeMs) this.#facts.delete(key);
    for (const [key, { atMs }] of this.#forgotten) {
      if (atMs > nowMs - FORGOTTEN_KEPT_MS) break;
      this.#forgotten.delete(key);
    }
  }

  entries(): IterableIterator<[string, { readonly value: V; readonly usedAtMs: number }]> {
    return this.#facts.entries();
  }

  #isForgottenSince(key: string, turn: number): boolean {
    return (this.#forgotten.get(key)?.turn ?? 0) > turn;
  }
}
