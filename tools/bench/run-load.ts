import type { Samples } from './percentiles.ts';

/**
 * Runs `once` over and over on `clients` concurrent lanes until `total` runs are done; the first tenth warms up and is not counted.
 * @param once gets the lane and the running number; throws to end the benchmark
 */
export async function runLoad(
  clients: number,
  total: number,
  once: (lane: number, run: number) => Promise<void>,
): Promise<Samples> {
  const warmUp = Math.max(clients, Math.floor(total / 10));
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
