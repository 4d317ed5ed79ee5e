import { IdlePause, RepeatedWork } from '@sync/messaging';
import type { Logger } from '@sync/service-kit';
import type { ResolveConflict } from './resolve-conflict.ts';

const AFTER_FAILURE_MS = 3_000;

/**
 * Carries on, in the background, resolutions whose process died or whose owner was away. Any number of
 * replicas may. A claim is due seconds after it was made, so seconds more do not matter, and as a rule there
 * is none.
 */
export class HealClaims {
  readonly #resolve: Pick<ResolveConflict, 'healDue'>;
  readonly #logger: Logger;
  readonly #pause = new IdlePause({ busyMs: 1_000, idleMs: 4_000 });
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
      return this.#pause.after(healed > 0);
    } catch (error) {
      this.#logger.warn({ err: error }, 'claims of conflicts could not be looked after');
      return AFTER_FAILURE_MS;
    }
  }
}
