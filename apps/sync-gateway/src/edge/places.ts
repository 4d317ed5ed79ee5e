import { ProblemError } from '@sync/service-kit';

/** Whoever waits longer had better come back: what holds the places up will not end soon. */
const WAIT_MS = 8_000;

/** A bounded number of places; who finds none waits in line, for a bounded time. */
export class Places {
  readonly #places: number;
  readonly #waitMs: number;
  readonly #line = new Set<() => void>();
  #taken = 0;

  constructor(places: number, waitMs = WAIT_MS) {
    this.#places = places;
    this.#waitMs = waitMs;
  }

  /**
   * Runs `work` in a place, in the order of arrival; settles as it does.
   * @throws ProblemError `unavailable` when no place became free in time
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#places) await this.#turn();
    else this.#taken += 1;
    try {
      return await work();
    } finally {
      const [next] = this.#line;
      // The place goes to the next in line as it is; only an empty line frees it.
      if (next) next();
      else this.#taken -= 1;
    }
  }

  #turn(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#line.delete(enter);
        reject(new ProblemError('unavailable', 'Too many requests wait here'));
      }, this.#waitMs);
      const enter = (): void => {
        clearTimeout(timer);
        this.#line.delete(enter);
        resolve();
      };
      this.#line.add(enter);
    });
  }
}
