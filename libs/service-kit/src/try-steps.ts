import type { Logger } from './logger.ts';

export type DrainStep = () => void | Promise<void>;

/** For all steps of a list together. */
const LIMIT_MS = 8_000;
/** However late it is, each step gets a moment: most need no more. */
const MIN_STEP_MS = 500;

/**
 * Does the steps of a drain one after the other, and each of them whatever becomes of the others: one that fails, or waits for a Postgres or a NATS that does
 * not answer, is logged (`drain_step_failed`) and the next one follows. Never rejects; takes 8 s and half a second for each late step at the most.
 */
export async function trySteps(steps: readonly DrainStep[], logger: Logger): Promise<void> {
  const untilMs = performance.now() + LIMIT_MS;
  for (const [index, step] of steps.entries()) {
    const limitMs = Math.max(MIN_STEP_MS, untilMs - performance.now());
    try {
      await endWithin(step, limitMs);
    } catch (error) {
      logger.warn({ err: error, event: 'drain_step_failed', step: index }, 'a part did not stop in order');
    }
  }
}

async function endWithin(step: DrainStep, limitMs: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not done within ${Math.round(limitMs)} ms`)), limitMs);
  try {
    await Promise.race([Promise.resolve().then(step), late]);
  } finally {
    clearTimeout(timer);
  }
}
