type Listener<T> = (value: T) => void;

/** Who wants to be told. What one of them throws is reported, and all others are told. */
export class Listeners<T> {
  readonly #all = new Set<Listener<T>>();

  /** @returns stops it */
  add(listener: Listener<T>): () => void {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  /** Nobody is told any more. */
  clear(): void {
    this.#all.clear();
  }

  tell(value: T): void {
    for (const listener of [...this.#all]) {
      try {
        listener(value);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** As platforms do with what a listener of an event throws. Node and older ones of React Native cannot. */
export function report(error: unknown): void {
  const { reportError } = globalThis as { reportError?: (error: unknown) => void };
  if (reportError) reportError(error);
  else
    setTimeout(() => {
      throw error;
    });
}
