import type { Cell, FieldRow } from '../merge/field-rows.ts';

/** A text is compared with what both started from; where nobody knows that, with the other side. */
export function against({ base, server, device }: FieldRow, source: 'server' | 'device' | 'combined') {
  const before = textOf(base);
  if (before !== undefined) return { text: before, show: 'changes' as const };
  const other = textOf(source === 'server' ? device : server);
  return other === undefined ? undefined : { text: other, show: 'own' as const };
}

export function textOf(cell: Cell): string | undefined {
  return cell.kind === 'value' && typeof cell.value === 'string' ? cell.value : undefined;
}

const LONG_TEXT = 90;

export function isLong({ server, device }: FieldRow): boolean {
  return [server, device].some(
    (cell) => cell.kind === 'value' && JSON.stringify(cell.value).length > LONG_TEXT,
  );
}
