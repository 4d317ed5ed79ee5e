import type { Cost } from './cost-meter.ts';

/** Latencies of one operation, milliseconds, and how long all of it took. */
export interface Samples {
  readonly latenciesMs: readonly number[];
  readonly tookMs: number;
  /** Of all operations together; not of what runs in this process alone. */
  readonly cost?: Cost;
  /** How often it was done, where that is not the number of latencies. */
  readonly operations?: number;
}

export interface Summary {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}

/** Nearest-rank percentiles (the smallest value with at least p of all values at or below it). */
export function summarize(samples: Samples): Summary {
  const sorted = [...samples.latenciesMs].sort((a, b) => a - b);
  const at = (fraction: number): number =>
    sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN;
  return {
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    perSecond: (sorted.length / samples.tookMs) * 1000,
  };
}
