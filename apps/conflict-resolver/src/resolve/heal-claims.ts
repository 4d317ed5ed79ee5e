import { RepeatedWork } from '@sync/messaging';
import type { Logger } from '@sync/service-kit';
import type { ResolveConflict } from './resolve-conflict.ts';

const IDLE_MS = 1_000;
const AFTER_FAILURE_MS = 3_000;

/**
 * Carries on, in the background, resolutions whose process died or whose owner was away. Any number of
 * replicas may.
 */
export class HealClaims {
  readonly #resolve: Pick<ResolveConflict, 'healDue'>;
  readonly #logger: Logger;
  readonly #work = new RepeatedWork(() => this.#pass());

  constructor(resolve: Pick<ResolveConflict, 'healDue'>, logger: Logger) {
    this.#resolve = resolve;
    this.#logger = logger;
  }

  start(): void {
    this.#work.start();
  }

  /** Waits for the claims in hand. */
  stop(): Promise<void> {
    return this.#work.stop();
  }

  /** @returns how long to wait before the next pass */
  async #pass(): Promise<number> {
    try {
      const healed = await this.#resolve.healDue();
      if (healed > 0) this.#logger.info({ healed }, 'carried on resolutions that others had left');
      return IDLE_MS;
    } catch (error) {
      this.#logger.warn({ err: error }, 'claims of conflicts could not be looked after');
      return AFTER_FAILURE_MS;
    }
  }
}
