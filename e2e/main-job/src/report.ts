import type { Write } from '@sync/client';
import type { StoredScope } from '@sync/e2e-device';

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

/** A write of an app, and what it was. */
export interface Written {
  readonly entityType: string;
  readonly op: string;
  readonly write: Write;
}

interface Reported {
  readonly name: string;
  readonly device: { scopes(): Promise<StoredScope[]> };
  readonly written: readonly Written[];
}

/**
 * Every mutation with its outcome. Statements that ended alike are one row: forty equal rows hide the others.
 */
export function mutationTable(devices: readonly Reported[]): string {
  const counted = new Map<string, { row: string[]; count: number }>();
  for (const { name, written } of devices) {
    for (const { entityType, op, write } of written) {
      const { outcome, entityId } = write;
      const entity = entityType === 'statement' ? 'statement (each its own)' : `${entityType}/${entityId}`;
      const row = [name, entity, op, outcome?.status ?? 'NONE', outcome?.code ?? ''];
      const key = row.join('|');
      const known = counted.get(key);
      counted.set(key, { row, count: (known?.count ?? 0) + 1 });
    }
  }
  const rows = [...counted.values()].map(({ row, count }) => [String(count), ...row]);
  return table(['mutations', 'device', 'entity', 'op', 'outcome', 'code'], rows);
}

/** Per scope: the digest that each device computed, and the server's. */
export async function digestTable(devices: readonly Reported[]): Promise<string> {
  const rows = await Promise.all(
    devices.map(async ({ name, device }) =>
      (await device.scopes()).map(({ scope, digest, serverDigest: server }) => {
        const equal = server?.hash === digest.hash && server.count === digest.count;
        const hashes = [digest.hash.slice(0, 16), (server?.hash ?? '').slice(0, 16)];
        return [scope, name, String(digest.count), ...hashes, equal ? 'equal' : 'DIFFERENT'];
      }),
    ),
  );
  return table(['scope', 'device', 'entities', 'device digest', 'server digest', ''], rows.flat());
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
