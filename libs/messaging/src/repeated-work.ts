import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagingLogger } from './ports.ts';

/** Work in the background that is done over and over until it is stopped, one pass after the other. */
export class RepeatedWork {
  readonly #pass: () => Promise<number>;
  readonly #firstPauseMs: number;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  /** @param pass handles its own errors; answers for how many milliseconds to pause before the next pass */
  constructor(pass: () => Promise<number>, firstPauseMs = 0) {
    this.#pass = pass;
    this.#firstPauseMs = firstPauseMs;
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
    for (let pauseMs = this.#firstPauseMs; ; pauseMs = await this.#pass()) {
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }
}

export interface UpkeepOptions {
  readonly everyMs: number;
  /** The first pass begins at some moment within this time; default a minute. */
  readonly firstWithinMs?: number;
  readonly logger: MessagingLogger;
  /** Logged with the error of a pass that failed. */
  readonly failure: string;
}

const FIRST_WITHIN_MS = 60_000;

/**
 * Work that keeps tables from growing: soon after the start, because a process may be replaced before its
 * first hour is over, and then again and again. At moments of its own: replicas that start together must not
 * all prune at once.
 */
export function repeatedUpkeep(pass: () => Promise<unknown>, options: UpkeepOptions): RepeatedWork {
  const { everyMs, firstWithinMs = FIRST_WITHIN_MS, logger, failure } = options;
  const work = async (): Promise<number> => {
    await pass().catch((error: unknown) => logger.warn({ err: error }, failure));
    return everyMs * (0.9 + Math.random() / 5);
  };
  return new RepeatedWork(work, Math.random() * firstWithinMs);
}
