import type { CostMeter } from './cost-meter.ts';
import type { Samples } from './percentiles.ts';

/**
 * Fewer leave code that the engine has not optimized yet: the first pushes of a process take twice as long as
 * the later ones.
 */
const LEAST_WARM_UP = 40;

/** So many clients share so many runs; each has one in hand. */
export interface Load {
  readonly clients: number;
  readonly total: number;
  /** Reads what the counted runs cost. */
  readonly meter?: Pick<CostMeter, 'begin'>;
  /** Runs before the counted ones, where a tenth of these, or 40, are too few. */
  readonly leastWarmUp?: number;
}

/** How many runs come before the counted ones. */
export function warmUpRuns({ clients, total, leastWarmUp = LEAST_WARM_UP }: Load): number {
  return Math.max(clients, Math.floor(total / 10), leastWarmUp);
}

/**
 * Runs `once` over and over on concurrent lanes until all runs are done, after a warm-up that is not counted
 * and whose work is over when counting begins.
 * @param once gets the lane and the running number; throws to end the benchmark
 */
export async function runLoad(
  load: Load,
  once: (lane: number, run: number) => Promise<void>,
): Promise<Samples> {
  const { clients, total, meter } = load;
  const warmUp = warmUpRuns(load);
  await runLanes(clients, 0, warmUp, once);
  const end = await meter?.begin();
  const startedMs = performance.now();
  const latenciesMs = await runLanes(clients, warmUp, warmUp + total, once);
  const tookMs = performance.now() - startedMs;
  return { latenciesMs, tookMs, ...(end ? { cost: await end() } : {}) };
}

/** @returns how long each run took */
async function runLanes(
  clients: number,
  from: number,
  to: number,
  once: (lane: number, run: number) => Promise<void>,
): Promise<number[]> {
  const latenciesMs: number[] = [];
  let next = from;
  const lane = async (index: number): Promise<void> => {
    while (next < to) {
      const run = next;
      next += 1;
      const startedMs = performance.now();
      await once(index, run);
      latenciesMs.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_unused, index) => lane(index)));
  return latenciesMs;
}
