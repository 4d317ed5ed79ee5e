import type { DriverDevice } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';

export type Printer = (line: string) => void;

/** Runs named steps and remembers how long each took. */
export class Steps {
  private readonly out: Printer;
  private readonly done: { name: string; tookMs: number }[] = [];

  constructor(out: Printer) {
    this.out = out;
  }

  async time<T>(name: string, step: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const result = await step();
    const tookMs = performance.now() - startedMs;
    this.done.push({ name, tookMs });
    this.out(`  ✓ ${name} (${tookMs.toFixed(0)} ms)`);
    return result;
  }

  print(): void {
    const totalMs = this.done.reduce((sum, { tookMs }) => sum + tookMs, 0);
    const rows = this.done.map(({ name, tookMs }) => [name, tookMs.toFixed(1)]);
    this.out(table(['step', 'ms'], [...rows, ['altogether', totalMs.toFixed(1)]]));
  }
}

interface Reported {
  readonly name: string;
  readonly device: DriverDevice;
  readonly written: readonly LocalMutation[];
}

/**
 * Every mutation with its outcome. Statements that ended alike are one row: forty equal rows hide the others.
 */
export function mutationTable(devices: readonly Reported[]): string {
  const counted = new Map<string, { row: string[]; count: number }>();
  for (const { name, device, written } of devices) {
    for (const mutation of written) {
      const outcome = device.outcomes.get(mutation.mutationId);
      const entity =
        mutation.entityType === 'statement'
          ? 'statement (each its own)'
          : `${mutation.entityType}/${mutation.entityId}`;
      const row = [name, entity, mutation.op, outcome?.status ?? 'NONE', outcome?.code ?? ''];
      const key = row.join('|');
      const known = counted.get(key);
      counted.set(key, { row, count: (known?.count ?? 0) + 1 });
    }
  }
  const rows = [...counted.values()].map(({ row, count }) => [String(count), ...row]);
  return table(['mutations', 'device', 'entity', 'op', 'outcome', 'code'], rows);
}

/** Per scope: the digest that each device computed, and the server's. */
export function digestTable(devices: readonly Reported[]): string {
  const rows = devices.flatMap(({ name, device }) =>
    [...device.scopes].map(([scope, replica]) => {
      const server = replica.serverDigest;
      const equal = server?.hash === replica.digest.hash && server.count === replica.digest.count;
      return [
        scope,
        name,
        String(replica.digest.count),
        replica.digest.hash.slice(0, 16),
        (server?.hash ?? '').slice(0, 16),
        equal ? 'equal' : 'DIFFERENT',
      ];
    }),
  );
  return table(['scope', 'device', 'entities', 'device digest', 'server digest', ''], rows);
}

/** Plain text with aligned columns. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd();
  return ['', line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line), ''].join('\n');
}
