/** A bounded number of places; who finds none waits in line. */
export class Places {
  readonly #places: number;
  readonly #line: (() => void)[] = [];
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  /** Runs `work` in a place, in the order of arrival; settles as it does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#places) await new Promise<void>((resolve) => this.#line.push(resolve));
    else this.#taken += 1;
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      // The place goes to the next in line as it is; only an empty line frees it.
      if (next) next();
      else this.#taken -= 1;
    }
  }
}
