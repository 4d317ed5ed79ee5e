import type { OperationResult } from './result.ts';

const COLUMNS = [
  ['operation', 24],
  ['clients', 7],
  ['p50 ms', 9],
  ['p95 ms', 9],
  ['p99 ms', 9],
  ['per s', 9],
  ['floor p50', 9],
  ['ratio', 6],
  ['CPU ms', 8],
  ['floor CPU', 9],
] as const;
const WIDTHS = COLUMNS.map(([, width]) => width);

export const HEAD = line(
  WIDTHS,
  COLUMNS.map(([title]) => title),
);

export function rowOf(one: OperationResult): string {
  const times = [one.p50Ms, one.p95Ms, one.p99Ms, one.perSecond, one.floorP50Ms, one.ratioP50];
  const numbers = [...times, one.cpuMs, one.floorCpuMs].map((value) => shown(value, 2));
  const extra = Object.entries(one.extra ?? {}).map(([name, value]) => `${name} ${shown(value, 1)}`);
  return `${line(WIDTHS, [one.name, String(one.clients), ...numbers])}  ${extra.join(', ')}`.trimEnd();
}

/** Operations whose CPU is shown by process. */
const SPLIT = ['push-1', 'push-100', 'small-events', 'write-visible', 'idle'];

/** CPU of one operation by process, the most expensive first; of `idle`, of one second. */
export function cpuTable(operations: readonly OperationResult[]): string[] {
  const split = operations.filter(({ name, cpuMs }) => SPLIT.includes(name) && cpuMs !== null);
  if (split.length === 0) return [];
  const valueOf = (one: OperationResult, process: string): number => one.cpuByProcessMs?.[process] ?? 0;
  const weightOf = (process: string): number =>
    split.reduce((sum, one) => sum + valueOf(one, process) / (one.cpuMs ?? 1), 0);
  const processes = [...new Set(split.flatMap((one) => Object.keys(one.cpuByProcessMs ?? {})))];
  const widths = [24, ...split.map(({ name }) => Math.max(name.length + 4, 9))];
  return [
    '',
    line(widths, ['CPU ms of one', ...split.map(({ name, clients }) => `${name} × ${clients}`)]),
    ...processes
      .sort((a, b) => weightOf(b) - weightOf(a))
      .map((process) => line(widths, [process, ...split.map((one) => shown(valueOf(one, process), 2))])),
    line(widths, ['all', ...split.map(({ cpuMs }) => shown(cpuMs, 2))]),
  ];
}

function shown(value: number | null, digits: number): string {
  return value === null || Number.isNaN(value) ? '–' : value.toFixed(digits);
}

function line(widths: readonly number[], cells: readonly string[]): string {
  return cells
    .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
    .join('  ');
}
