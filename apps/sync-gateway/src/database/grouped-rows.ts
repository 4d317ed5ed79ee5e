import { AGAIN } from '@sync/messaging';
import { isUnavailable } from '@sync/postgres';

/**
 * What calls that go together into one SQL function have in common: pushes when they come and when they end,
 * and acks (ADR 0033).
 */
export const GROUPING = {
  /** Where Postgres is away, each call alone would only wait for it once more. */
  concernsAll: isUnavailable,
  /** A usual call takes two or three; on a slow disk or behind a lock the others go without it. */
  maxWaitMs: 10,
} as const;

/** A row that says to which call of a group it belongs, and whether that has to come alone. */
export interface GroupedRow {
  readonly call: number;
  readonly failed: boolean;
}

/** @returns per call its rows */
export function rowsByCall<T extends GroupedRow>(
  rows: readonly T[],
  calls: number,
): (readonly T[] | typeof AGAIN)[] {
  const byCall = Map.groupBy(rows, ({ call }) => call);
  return Array.from({ length: calls }, (_, call) => {
    const own = byCall.get(call) ?? [];
    return own.some(({ failed }) => failed) ? AGAIN : own;
  });
}
