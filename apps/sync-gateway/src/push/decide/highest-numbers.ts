import type { Work } from '../outcome/settlement.ts';

/** The highest `sequence` of changes, by the push that brought them: within one, its order counts. */
export class HighestNumbers {
  /** By epoch milliseconds. */
  readonly #byPush = new Map<number, number>();

  note({ mutation: { sequence }, receivedAtMs }: Work): void {
    this.#byPush.set(receivedAtMs, Math.max(sequence, this.#byPush.get(receivedAtMs) ?? 0));
  }

  /** Whether another push brought a change that was made after it. */
  isBefore({ mutation: { sequence }, receivedAtMs }: Work): boolean {
    return [...this.#byPush].some(([push, highest]) => push !== receivedAtMs && sequence < highest);
  }
}
