/** Three versions of an entity, compared field by field. */
import { deepEqualJson } from '@sync/domain';
import type { JsonObject, JsonValue } from '@sync/domain';
import { combineTexts } from './diff-text.ts';
import type { Sides } from './sides.ts';

/** What a version has in a field. */
export type Cell =
  | { readonly kind: 'value'; readonly value: JsonValue }
  /** The field is not there. */
  | { readonly kind: 'none' }
  /** Nobody knows: the server keeps no earlier values. */
  | { readonly kind: 'unknown' };

/**
 * Who changed a field, as seen from the base.
 *
 * | change   | server  | device                  | result without a decision |
 * | -------- | ------- | ----------------------- | ------------------------- |
 * | `none`   | as was  | the same                | that value                |
 * | `same`   | changed | changed to the same     | that value                |
 * | `server` | changed | as was                  | the server's              |
 * | `device` | as was  | changed                 | the device's              |
 * | `both`   | changed | changed to another      | none                      |
 *
 * With an unknown base, two different values count as `both`.
 */
export type Change = 'none' | 'same' | 'server' | 'device' | 'both';

export interface FieldRow {
  /** `''` is the entity as a whole: one side has deleted it. */
  readonly field: string;
  readonly change: Change;
  readonly base: Cell;
  readonly server: Cell;
  readonly device: Cell;
  /** Both changes of a text in one; undefined where they meet, or nothing is known of the base. */
  readonly combined?: string;
  /** What a model proposes; undefined where it proposes nothing else than the server's value. */
  readonly suggested?: Cell;
}

/** The name of the row that stands for the whole entity. */
export const WHOLE = '';

/** One side has deleted the entity, so that it is decided as a whole. */
export function isWhole({ server, device }: Sides): boolean {
  return server === null || device === null;
}

const NONE: Cell = { kind: 'none' };
const UNKNOWN: Cell = { kind: 'unknown' };

/**
 * @returns a row for each field of any version, those of the server first; one row for the whole where one
 * side has deleted it; none where both have
 */
export function compareFields(sides: Sides): FieldRow[] {
  const { base, server, device, suggested } = sides;
  if (server === null && device === null) return [];
  if (server === null || device === null) return [wholeRow(sides)];
  const fields = new Set([server, device, base ?? {}, suggested ?? {}].flatMap((each) => Object.keys(each)));
  const isAllUnknown = sides.baseUnknown.includes(WHOLE);
  const unknown = new Set(sides.baseUnknown);
  return [...fields].map((field) =>
    rowOf(field, {
      base: isAllUnknown || unknown.has(field) ? UNKNOWN : cellOf(base, field),
      server: cellOf(server, field),
      device: cellOf(device, field),
      suggested: suggested ? cellOf(suggested, field) : undefined,
    }),
  );
}

function wholeRow({ base, baseUnknown, server, device }: Sides): FieldRow {
  const whole = (data: JsonObject | null): Cell => (data ? { kind: 'value', value: data } : NONE);
  return rowOf(WHOLE, {
    // In parts it is no version that ever was.
    base: baseUnknown.length > 0 ? UNKNOWN : whole(base),
    server: whole(server),
    device: whole(device),
    suggested: undefined,
  });
}

function cellOf(data: JsonObject | null, field: string): Cell {
  return data && Object.hasOwn(data, field) ? { kind: 'value', value: data[field] as JsonValue } : NONE;
}

type Cells = Record<'base' | 'server' | 'device', Cell> & { readonly suggested: Cell | undefined };

function rowOf(field: string, { suggested, ...cells }: Cells): FieldRow {
  const change = changeOf(cells);
  const combined = change === 'both' ? combinedOf(cells) : null;
  return {
    ...{ field, change, ...cells },
    ...(combined === null ? {} : { combined }),
    ...(suggested && !sameCell(suggested, cells.server) ? { suggested } : {}),
  };
}

function changeOf({ base, server, device }: Omit<Cells, 'suggested'>): Change {
  if (sameCell(server, device)) return base.kind === 'unknown' || sameCell(base, server) ? 'none' : 'same';
  if (sameCell(base, device)) return 'server';
  return sameCell(base, server) ? 'device' : 'both';
}

function combinedOf({ base, server, device }: Omit<Cells, 'suggested'>): string | null {
  const texts = [base, server, device].flatMap((cell) =>
    cell.kind === 'value' && typeof cell.value === 'string' ? [cell.value] : [],
  );
  const [before, one, other] = texts;
  if (before === undefined || one === undefined || other === undefined) return null;
  return combineTexts(before, one, other);
}

/** An unknown value is the same as none, not even as another unknown one. */
export function sameCell(one: Cell, other: Cell): boolean {
  if (one.kind === 'value' && other.kind === 'value') return deepEqualJson(one.value, other.value);
  return one.kind === 'none' && other.kind === 'none';
}
