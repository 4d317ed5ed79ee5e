import { setTimeout as sleep } from 'node:timers/promises';

/** Work in the background that is done over and over until it is stopped, one pass after the other. */
export class RepeatedWork {
  readonly #pass: () => Promise<number>;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  /** @param pass handles its own errors; answers for how many milliseconds to pause before the next pass */
  constructor(pass: () => Promise<number>) {
    this.#pass = pass;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Begins no further pass and waits for the one that runs. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const pauseMs = await this.#pass();
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
