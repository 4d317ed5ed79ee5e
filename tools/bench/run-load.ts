import type { Samples } from './percentiles.ts';

/**
 * Fewer leave code that the engine has not optimized yet: the first pushes of a process take twice as long as
 * the later ones.
 */
const LEAST_WARM_UP = 40;

/** How many runs come before the counted ones. */
export function warmUpRuns(clients: number, total: number): number {
  return Math.max(clients, Math.floor(total / 10), LEAST_WARM_UP);
}

/**
 * Runs `once` over and over on `clients` concurrent lanes until `total` runs are done, after a warm-up that
 * is not counted.
 * @param once gets the lane and the running number; throws to end the benchmark
 */
export async function runLoad(
  clients: number,
  total: number,
  once: (lane: number, run: number) => Promise<void>,
): Promise<Samples> {
  const warmUp = warmUpRuns(clients, total);
  const latenciesMs: number[] = [];
  let next = 0;
  let countedFromMs = performance.now();
  const lane = async (index: number): Promise<void> => {
    for (;;) {
      const run = next;
      next += 1;
      if (run >= total + warmUp) return;
      if (run === warmUp) countedFromMs = performance.now();
      const startedMs = performance.now();
      await once(index, run);
      if (run >= warmUp) latenciesMs.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_unused, index) => lane(index)));
  return { latenciesMs, tookMs: performance.now() - countedFromMs };
}
