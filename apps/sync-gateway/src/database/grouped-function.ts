import { AGAIN, GroupedCalls, type ShareOptions } from '@sync/messaging';
import { type Database, isUnavailable, retryConflicts } from '@sync/postgres';
import type { DeviceKey } from '../access/device-bindings.ts';

/** A SQL function that does what several devices want in one transaction (ADR 0033). */
export interface GroupedFunction<T, Row, R> extends Pick<ShareOptions<T, R>, 'fits'> {
  readonly name: string;
  /**
   * Its parameters begin with arrays of tenants, users and devices. Its rows have `call`, the place of the call
   * that they answer, and `failed`: that has to come alone.
   */
  readonly text: string;
  /** Whose call it is. */
  readonly callerOf: (call: T) => DeviceKey;
  /** Its other parameters. */
  readonly valuesOf: (calls: readonly T[]) => readonly unknown[];
  /** What the rows of a call mean. */
  readonly answerOf: (call: T, rows: readonly Row[]) => R;
}

/** A usual call takes two or three; on a slow disk or behind a lock the others go without it. */
const MAX_WAIT_MS = 10;

/**
 * Calls of such a function; those that come at the same time go together, in the order of their devices: two
 * replicas that took locks crosswise would wait for each other. They throw the driver's errors.
 *
 * Where Postgres is away, each call alone would only wait for it once more. A deadlock is tried again: all
 * that goes through here can be repeated.
 */
export function groupedFunction<T, Row, R>(
  database: Pick<Database, 'call'>,
  { name, text, callerOf, valuesOf, answerOf, fits }: GroupedFunction<T, Row, R>,
): GroupedCalls<T, R> {
  const keyOf = (call: T): string => {
    const { tenantId, deviceId } = callerOf(call);
    return `${tenantId} ${deviceId}`;
  };
  const together = async (calls: readonly T[]): Promise<(R | typeof AGAIN)[]> => {
    const sorted = calls.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const callers = sorted.map(callerOf);
    const keys = ['tenantId', 'userId', 'deviceId'] as const;
    const values = [...keys.map((key) => callers.map((caller) => caller[key])), ...valuesOf(sorted)];
    const rows = await retryConflicts(() =>
      database.call<Row & { readonly call: number; readonly failed: boolean }>(name, text, values),
    );
    const byCall = Map.groupBy(rows, (row) => sorted[row.call]);
    return calls.map((call) => {
      const own = byCall.get(call) ?? [];
      return own.some(({ failed }) => failed) ? AGAIN : answerOf(call, own);
    });
  };
  return new GroupedCalls({ together, concernsAll: isUnavailable, fits, maxWaitMs: MAX_WAIT_MS });
}

/** How many elements there are up to the end of each list. */
export function endsOf(lists: readonly (readonly unknown[])[]): number[] {
  let until = 0;
  return lists.map(({ length }) => (until += length));
}
