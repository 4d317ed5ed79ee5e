import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@sync/service-kit';
import type { ResolveConflict } from './resolve-conflict.ts';

const IDLE_MS = 1_000;
const AFTER_FAILURE_MS = 3_000;

/** Carries on, in the background, resolutions whose process died or whose owner was away. Any number of replicas may. */
export class HealClaims {
  readonly #resolve: Pick<ResolveConflict, 'healDue'>;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(resolve: Pick<ResolveConflict, 'healDue'>, logger: Logger) {
    this.#resolve = resolve;
    this.#logger = logger;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Waits for the claims in hand. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      let pauseMs = IDLE_MS;
      try {
        const healed = await this.#resolve.healDue();
        if (healed > 0) this.#logger.info({ healed }, 'carried on resolutions that others had left');
      } catch (error) {
        this.#logger.warn({ err: error }, 'claims of conflicts could not be looked after');
        pauseMs = AFTER_FAILURE_MS;
      }
      await sleep(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }
}
