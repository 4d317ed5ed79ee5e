import { until } from '@sync/e2e-device';

/** Tries until it holds: also on a machine that is five times slower. @throws Error naming what did not */
export function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  return until(what, async () => holds(), { limitMs: 100_000, pauseMs: 50 });
}
