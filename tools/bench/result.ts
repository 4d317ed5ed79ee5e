import { type Samples, summarize } from './percentiles.ts';
import { type CpuByProcess, sumOf } from './process-cpu.ts';
import type { StatementCost } from './statement-profile.ts';

/** One row of the table and of the JSON. Milliseconds; `ratioP50` = p50 ÷ floor p50. */
export interface OperationResult {
  readonly name: string;
  readonly clients: number;
  /** How many of them the figures are of. */
  readonly operations: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly floorP50Ms: number;
  readonly ratioP50: number;
  /** CPU of one operation over all processes of the platform, NATS and Postgres included. */
  readonly cpuMs: number | null;
  readonly floorCpuMs: number | null;
  /** The same by process. */
  readonly cpuByProcessMs: CpuByProcess | null;
  /** What else was measured, such as memory per socket. */
  readonly extra?: Readonly<Record<string, number>>;
  /** With `--profile`, of all operations together. */
  readonly statements?: readonly StatementCost[];
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
  const cpuByProcessMs = cpuPerOperation(samples);
  const floorCpu = cpuPerOperation(floor);
  return {
    ...{ name, clients, operations: operationsOf(samples), ...own, floorP50Ms },
    ratioP50: own.p50Ms / floorP50Ms,
    cpuMs: cpuByProcessMs && sumOf(cpuByProcessMs),
    floorCpuMs: floorCpu && sumOf(floorCpu),
    cpuByProcessMs,
    ...(extra ? { extra } : {}),
    ...(samples.cost?.statements ? { statements: samples.cost.statements } : {}),
  };
}

function operationsOf({ operations, latenciesMs }: Samples): number {
  return operations ?? latenciesMs.length;
}

function cpuPerOperation(samples: Samples): CpuByProcess | null {
  const cpu = samples.cost?.cpu;
  if (!cpu) return null;
  return Object.fromEntries(Object.entries(cpu).map(([name, ms]) => [name, ms / operationsOf(samples)]));
}

/** A goal of the project, checked against what was measured in this run; printed, never a failing test. */
export interface Goal {
  readonly text: string;
  readonly measured: string;
  readonly met: boolean;
}
