import { AGAIN } from '@sync/messaging';
import { isUnavailable } from '@sync/postgres';

/** What goes through one call of `push_receive_together` or `push_complete_together`, at the most. */
export const GROUP = { pushes: 32, mutations: 200, length: 512 * 1024 } as const;

/** Between the texts of two pushes: the record separator of RFC 7464, which no JSON text contains. */
export const PUSH_SEPARATOR = '\x1e';

/** What both calls of pushes in groups have in common. */
export const GROUPING = {
  /** Where Postgres is away, each push alone would only wait for it once more. */
  concernsAll: isUnavailable,
  /** A usual call takes two or three; on a slow disk or behind a lock the others go without it. */
  maxWaitMs: 10,
} as const;

/** A row that says to which push of a group it belongs, and whether that has to come alone. */
export interface GroupedRow {
  readonly push: number;
  readonly failed: boolean;
}

/** @returns per push its rows */
export function rowsByPush<T extends GroupedRow>(
  rows: readonly T[],
  pushes: number,
): (readonly T[] | typeof AGAIN)[] {
  const byPush = Map.groupBy(rows, ({ push }) => push);
  return Array.from({ length: pushes }, (_, push) => {
    const own = byPush.get(push) ?? [];
    return own.some(({ failed }) => failed) ? AGAIN : own;
  });
}
