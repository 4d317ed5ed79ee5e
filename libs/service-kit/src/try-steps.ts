import type { Logger } from './logger.ts';

export type DrainStep = () => void | Promise<void>;

/** However late it is, each step gets a moment: most need no more. */
export const MIN_STEP_MS = 500;

/**
 * Does the steps of a drain one after the other, and each of them whatever becomes of the others: one that
 * fails, or waits for a Postgres or a NATS that does not answer, is logged (`drain_step_failed`) and the next
 * one follows. Never rejects.
 * @param untilMs when all of it should be over, on the clock of `performance.now()`; each late step takes
 *   half a second more at the most
 */
export async function trySteps(steps: readonly DrainStep[], untilMs: number, logger: Logger): Promise<void> {
  for (const [index, step] of steps.entries()) {
    try {
      await endWithin(step, Math.max(MIN_STEP_MS, untilMs - performance.now()));
    } catch (error) {
      logger.warn({ err: error, event: 'drain_step_failed', step: index }, 'a part did not stop in order');
    }
  }
}

/** @throws what `step` throws, and an Error when it is not over after `limitMs` */
export async function endWithin(step: DrainStep, limitMs: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not done within ${Math.round(limitMs)} ms`)), limitMs);
  try {
    await Promise.race([Promise.resolve().then(step), late]);
  } finally {
    clearTimeout(timer);
  }
}
