import { RepeatedWork } from '@sync/messaging';
import type { Logger } from '@sync/service-kit';
import type { AuditLog } from './audit-log.ts';
import { type Refusal, RefusalWindow } from './refusal-window.ts';

const WINDOW_MS = 60_000;
/** Somebody who is refused waits no longer than this for the line that says so. */
const WAIT_MS = 1_000;

/**
 * Writes refused attempts: the first of its kind before it is answered, repetitions once a minute. A process
 * that is killed loses the count of the repetitions since, at most a minute of them; each has its first line.
 */
export class Refusals {
  readonly #log: AuditLog;
  readonly #logger: Logger;
  readonly #counter: { inc(): void };
  readonly #window = new RefusalWindow();
  readonly #work = new RepeatedWork(async () => {
    await this.flush();
    return WINDOW_MS;
  }, WINDOW_MS);

  constructor(log: AuditLog, counter: { inc(): void }, logger: Logger) {
    this.#log = log;
    this.#counter = counter;
    this.#logger = logger;
  }

  start(): void {
    this.#work.start();
  }

  /** Writes what was counted. */
  async stop(): Promise<void> {
    await this.#work.stop();
    await this.flush();
  }

  /** Never throws: what cannot be written is counted, and written later. */
  async note(refusal: Refusal): Promise<void> {
    this.#counter.inc();
    const first = this.#window.note(refusal);
    if (first === null) return;
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), WAIT_MS);
    await Promise.race([this.#write(first), late]);
    clearTimeout(timer);
  }

  /** Ends the window, and writes what could not be written before. */
  async flush(): Promise<void> {
    await this.#log.settle();
    const byChain = Map.groupBy(this.#window.end(), ({ chain }) => chain);
    for (const [chain, refusals] of byChain) {
      try {
        await this.#log.write(
          chain,
          refusals.map(({ draft }) => draft),
        );
      } catch (error) {
        this.#owe(refusals, error);
      }
    }
  }

  async #write(refusal: Refusal): Promise<void> {
    try {
      await this.#log.write(refusal.chain, [refusal.draft]);
    } catch (error) {
      this.#owe([refusal], error);
    }
  }

  #owe(refusals: readonly Refusal[], error: unknown): void {
    for (const refusal of refusals) this.#window.owe(refusal);
    this.#logger.warn(
      { event: 'audit_line_owed', err: error, lines: refusals.length },
      'audit lines are owed',
    );
  }
}
