/** What devices ask of the platform while it is restarted, counted. */
export class Traffic {
  /** One line for each request that was not answered as it should be. */
  readonly failures: string[] = [];
  #requests = 0;
  #stopping = false;
  readonly #loops: Promise<void>[] = [];

  get requests(): number {
    return this.#requests;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /**
   * Counts one request. @returns whether it succeeded; a failed one is noted with its cause and not thrown
   */
  async send(what: string, work: () => Promise<unknown>): Promise<boolean> {
    this.#requests += 1;
    try {
      await work();
      return true;
    } catch (error) {
      this.fail(`${what}: ${textOf(error)}`);
      return false;
    }
  }

  fail(line: string): void {
    if (!this.#stopping) this.failures.push(`${new Date().toISOString()} ${line}`);
  }

  /** Does it again and again until the end. */
  repeat(pass: () => Promise<void>): void {
    const loop = async (): Promise<void> => {
      while (!this.#stopping) await pass();
    };
    this.#loops.push(loop());
  }

  /** Waits until what is under way has been answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#loops);
  }
}

function textOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? `, ${textOf(error.cause)}` : '';
  return `${error instanceof Error ? error.message : String(error)}${cause}`;
}
