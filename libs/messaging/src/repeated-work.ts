import { IdlePause, Wakeup } from './pacing.ts';
import type { MessagingLogger } from './ports.ts';

/** Work in the background that is done over and over until it is stopped, one pass after the other. */
export class RepeatedWork {
  readonly #pass: () => Promise<number>;
  readonly #wakeup = new Wakeup();
  /** Of the next pass; infinite while one runs and nobody has asked for another. */
  #dueAtMs = Infinity;
  #pauseMs: number;
  #loop: Promise<void> | undefined;
  #stopped = false;

  /** @param pass handles its own errors; answers for how many milliseconds to pause before the next pass */
  constructor(pass: () => Promise<number>, firstPauseMs = 0) {
    this.#pass = pass;
    this.#pauseMs = firstPauseMs;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Begins the next pass within so many milliseconds, if its pause was to last longer. */
  within(ms: number): void {
    const dueAtMs = performance.now() + ms;
    if (dueAtMs >= this.#dueAtMs) return;
    this.#dueAtMs = dueAtMs;
    this.#wakeup.wake();
  }

  /** Begins no further pass and waits for the one that runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeup.wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#dueAtMs = Math.min(this.#dueAtMs, performance.now() + this.#pauseMs);
      while (!this.#stopped && this.#leftMs > 0) await this.#wakeup.sleep(this.#leftMs);
      if (this.#stopped) return;
      this.#dueAtMs = Infinity;
      this.#pauseMs = await this.#pass();
    }
  }

  get #leftMs(): number {
    return this.#dueAtMs - performance.now();
  }
}

export interface UpkeepOptions {
  readonly everyMs: number;
  /** The first pass begins at some moment within this time; default a minute. */
  readonly firstWithinMs?: number;
  /** How many times longer the pause grows while nothing is found; default 4. */
  readonly idleRounds?: number;
  readonly logger: MessagingLogger;
  /** Logged with the error of a pass that failed. */
  readonly failure: string;
}

const FIRST_WITHIN_MS = 60_000;
const IDLE_ROUNDS = 4;

/**
 * Work that keeps tables from growing: soon after the start, because a process may be replaced before its
 * first hour is over, and then again and again. At moments of its own: replicas that start together must not
 * all prune at once.
 *
 * @param pass answers 0 when there was nothing to do: the next pauses are then longer and longer
 */
export function repeatedUpkeep(pass: () => Promise<unknown>, options: UpkeepOptions): RepeatedWork {
  const { everyMs, firstWithinMs = FIRST_WITHIN_MS, idleRounds = IDLE_ROUNDS, logger, failure } = options;
  const pause = new IdlePause({ busyMs: everyMs, idleMs: idleRounds * everyMs });
  const work = async (): Promise<number> => {
    const done = await pass().catch((error: unknown) => logger.warn({ err: error }, failure));
    return pause.after(done !== 0) * (0.9 + Math.random() / 5);
  };
  return new RepeatedWork(work, Math.random() * firstWithinMs);
}

/**
 * Upkeep that deletes rows. Small deletes one after the other: locks stay short and vacuum keeps up. Every
 * replica may do it: the one that comes second finds nothing, which costs less than agreeing on who goes
 * first.
 */
export class Pruning {
  readonly #pass: (pruning: Pruning) => Promise<void>;
  readonly #work: RepeatedWork;
  #removed = 0;
  #stopped = false;

  constructor(pass: (pruning: Pruning) => Promise<void>, options: UpkeepOptions) {
    this.#pass = pass;
    this.#work = repeatedUpkeep(() => this.prune(), options);
  }

  /** A pass should come to its end. */
  get stopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    this.#work.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work.stop();
  }

  /** One pass. @returns how many rows were removed */
  async prune(): Promise<number> {
    this.#removed = 0;
    await this.#pass(this);
    return this.#removed;
  }

  /** @param remove at most so many rows, and answers how many there were */
  async inBatches(rows: number, remove: (rows: number) => Promise<number>): Promise<void> {
    for (let batch = rows; batch === rows && !this.#stopped; this.#removed += batch)
      batch = await remove(rows);
  }
}
