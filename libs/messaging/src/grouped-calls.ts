/** How calls go together; see {@link GroupedCalls}. */
export interface ShareOptions<T, R> {
  /**
   * Does all of them at once.
   * @returns one answer per call, in their order; of several `AGAIN` for one that has to be done alone, because
   * something was wrong with it or with a call beside it
   * @throws the error of a call that it does alone; of several what `concernsAll` is asked about
   */
  readonly together: (calls: readonly T[]) => Promise<readonly (R | typeof AGAIN)[]>;
  /** Of an error of `together`: every call throws it (true), or each is done alone (false). */
  readonly concernsAll: (error: unknown) => boolean;
  /**
   * Whether a call may go with those before it; asked for every call but the first. One that may not goes
   * with a later batch, and those behind it may go before it.
   */
  readonly fits: (before: readonly T[], next: T) => boolean;
  /** The longest that a call waits for the calls under way, in milliseconds. */
  readonly maxWaitMs: number;
}

/** Of a call that has to be done alone. */
export const AGAIN = Symbol('again');

interface Waiting<T, R> {
  readonly call: T;
  readonly resolve: (answer: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Calls that share what a round trip costs, as a database shares its commits ("group commit", DeWitt et al.,
 * Implementation Techniques for Main Memory Database Systems, 1984).
 *
 * | calls under way          | a new call                                                       |
 * | ------------------------ | ---------------------------------------------------------------- |
 * | none                     | begins in this turn of the event loop, with what else comes in it |
 * | some                     | begins when they have ended, with all that came meanwhile        |
 * | some, and it has waited for `maxWaitMs` | begins beside them: what is slow must not slow down what is not |
 *
 * So nobody waits while there is nothing to share, and the more there is to do the more goes together.
 */
export class GroupedCalls<T, R> {
  readonly #options: ShareOptions<T, R>;
  #waiting: Waiting<T, R>[] = [];
  #underWay = 0;
  #isPlanned = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ShareOptions<T, R>) {
    this.#options = options;
  }

  /** Nothing is under way, and nothing waits. */
  get isIdle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0;
  }

  /** @throws what `together` throws */
  async do(call: T): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#waiting.push({ call, resolve, reject });
    this.#plan();
    return promise;
  }

  #plan(): void {
    if (this.#waiting.length === 0 || this.#isPlanned) return;
    if (this.#underWay > 0) {
      this.#timer ??= setTimeout(() => this.#begin(), this.#options.maxWaitMs);
      return;
    }
    this.#isPlanned = true;
    setImmediate(() => this.#begin());
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isPlanned = false;
    while (this.#waiting.length > 0) void this.#run(this.#takeBatch());
  }

  #takeBatch(): Waiting<T, R>[] {
    const batch: Waiting<T, R>[] = [];
    const calls: T[] = [];
    const left: Waiting<T, R>[] = [];
    for (const waiting of this.#waiting) {
      const fits = calls.length === 0 || this.#options.fits(calls, waiting.call);
      if (fits) calls.push(waiting.call);
      (fits ? batch : left).push(waiting);
    }
    this.#waiting = left;
    return batch;
  }

  /** Never throws: every call of the batch has its answer or its error. */
  async #run(batch: readonly Waiting<T, R>[]): Promise<void> {
    this.#underWay += 1;
    const [first] = batch;
    const tell = await (first && batch.length === 1 ? this.#alone(first) : this.#together(batch));
    // Before anybody is told: who looks at `isIdle` then finds it so.
    this.#underWay -= 1;
    this.#plan();
    tell();
  }

  /** @returns what tells the callers */
  async #together(batch: readonly Waiting<T, R>[]): Promise<() => void> {
    const { together, concernsAll } = this.#options;
    let answers: readonly (R | typeof AGAIN)[] = [];
    try {
      answers = await together(batch.map(({ call }) => call));
    } catch (error) {
      if (concernsAll(error)) return () => batch.forEach(({ reject }) => reject(error));
      answers = batch.map(() => AGAIN);
    }
    return () => {
      for (const [at, waiting] of batch.entries()) {
        const answer = answers[at] as R | typeof AGAIN;
        if (answer === AGAIN) void this.#alone(waiting).then((tell) => tell());
        else waiting.resolve(answer);
      }
    };
  }

  /** @returns what tells the caller */
  async #alone({ call, resolve, reject }: Waiting<T, R>): Promise<() => void> {
    try {
      const [answer] = await this.#options.together([call]);
      return () => resolve(answer as R);
    } catch (error) {
      return () => reject(error);
    }
  }
}
