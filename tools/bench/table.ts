import type { OperationResult } from './result.ts';

const COLUMNS = [
  ['operation', 18],
  ['clients', 7],
  ['p50 ms', 9],
  ['p95 ms', 9],
  ['p99 ms', 9],
  ['per s', 9],
  ['floor p50', 9],
  ['ratio', 6],
] as const;

export const HEAD = line(COLUMNS.map(([title]) => title));

export function rowOf(one: OperationResult): string {
  const numbers = [one.p50Ms, one.p95Ms, one.p99Ms, one.perSecond, one.floorP50Ms, one.ratioP50];
  const extra = Object.entries(one.extra ?? {}).map(([name, value]) => `${name} ${value.toFixed(1)}`);
  return `${line([one.name, String(one.clients), ...numbers.map((value) => value.toFixed(2))])}  ${extra.join(', ')}`.trimEnd();
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, column) => {
      const width = COLUMNS[column]?.[1] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    })
    .join('  ');
}
