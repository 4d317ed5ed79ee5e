import { type Samples, summarize } from './percentiles.ts';

/** One row of the table and of the JSON. Milliseconds; `ratioP50` = p50 ÷ floor p50. */
export interface OperationResult {
  readonly name: string;
  readonly clients: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly floorP50Ms: number;
  readonly ratioP50: number;
  /** What else was measured, such as memory per socket. */
  readonly extra?: Readonly<Record<string, number>>;
}

export function result(
  name: string,
  clients: number,
  samples: Samples,
  floor: Samples,
  extra?: Readonly<Record<string, number>>,
): OperationResult {
  const own = summarize(samples);
  const floorP50Ms = summarize(floor).p50Ms;
  return { name, clients, ...own, floorP50Ms, ratioP50: own.p50Ms / floorP50Ms, ...(extra ? { extra } : {}) };
}

/** A goal of the project, checked against what was measured in this run; printed, never a failing test. */
export interface Goal {
  readonly text: string;
  readonly measured: string;
  readonly met: boolean;
}
