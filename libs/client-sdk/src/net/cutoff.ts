import type { Clock } from '../clock/clock.ts';

/**
 * Ends what takes too long, or what the caller does not want any more. It waits for nobody: some platforms do
 * not end a request, or the reading of a body, when they are told to.
 */
export class Cutoff {
  /** For whatever can be told to end. */
  readonly signal: AbortSignal;
  #why: 'late' | 'aborted' | null = null;
  readonly #cut: Promise<never>;
  readonly #release: () => void;

  constructor(clock: Clock, timeoutMs: number, callers: AbortSignal | undefined) {
    const controller = new AbortController();
    this.signal = controller.signal;
    let reject: (error: Error) => void = () => undefined;
    this.#cut = new Promise<never>((_resolve, fail) => (reject = fail));
    this.#cut.catch(() => undefined);
    const cut = (why: 'late' | 'aborted'): void => {
      this.#why ??= why;
      controller.abort();
      reject(new Error(why === 'late' ? `No answer within ${timeoutMs} ms` : 'The caller gave it up'));
    };
    const onAbort = (): void => cut('aborted');
    const cancelTimer = clock.setTimer(Math.max(1, timeoutMs), () => cut('late'));
    callers?.addEventListener('abort', onAbort);
    if (callers?.aborted) onAbort();
    this.#release = () => {
      cancelTimer();
      callers?.removeEventListener('abort', onAbort);
    };
  }

  /** Why it was cut off; null when it was not. */
  get why(): 'late' | 'aborted' | null {
    return this.#why;
  }

  /** @throws what `work` throws, or an Error when it is cut off before */
  async race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([this.#cut, work]);
  }

  /** To be called at the end, whatever it was. */
  release(): void {
    this.#release();
  }
}
