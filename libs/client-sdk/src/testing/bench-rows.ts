import { keyOf } from '../storage/store.ts';
import type { StoredRow } from '../storage/store.ts';

/** {@link benchRows} in batches of so many. */
export function benchBatches(count: number, batch: number): StoredRow[][] {
  const rows = benchRows(count);
  return Array.from({ length: Math.ceil(count / batch) }, (_unused, n) =>
    rows.slice(n * batch, (n + 1) * batch),
  );
}

/** Rows as the replica keeps them: an entity of some 400 bytes with its clock. */
function benchRows(count: number): StoredRow[] {
  return Array.from({ length: count }, (_unused, n) => ({
    key: keyOf('note', `0193e6c0-7a10-7000-8000-${n.toString(16).padStart(12, '0')}`),
    value: {
      revision: n % 7,
      clock: { 'd:0193e6c0-7a10-7000-8000-00000000000a': n, 's:learning': 3 },
      data: {
        userId: `user-${n % 50}`,
        text: `note ${n}, a line or two of text `.repeat(6),
        colour: 'white',
      },
      deleted: false,
    },
  }));
}
