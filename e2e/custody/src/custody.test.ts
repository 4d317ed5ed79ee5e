import { describe, expect, it } from '@jest/globals';
import type { StackLine } from '@sync/e2e-device';
import { runSeries } from './run-series.ts';

/** The long series is `npm run custody`. */
const SEEDS = [3, 7, 11];
/** Played until somebody has lost to somebody: who is first is a matter of time in every run. */
const MORE_SEEDS = [13, 17, 19, 23, 29];
/** What became of a value that somebody else's change came before. */
const LOST = ['superseded', 'conflict'];

describe('deletions, re-creations, documents, restored devices, shared tablets, withdrawn courses', () => {
  it('lose no written value: it is there, was overwritten by somebody who saw it, or is recorded', async () => {
    const stack = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
    const results = await runSeries(stack, SEEDS, 1, () => undefined);
    const statuses = (): Set<string> => new Set(results.flatMap((result) => [...result.statuses.keys()]));
    for (const seed of MORE_SEEDS) {
      if (LOST.some((status) => statuses().has(status))) break;
      results.push(...(await runSeries(stack, [seed], 1, () => undefined)));
    }
    expect(results.flatMap(({ violations, report }) => (violations.length > 0 ? [report] : []))).toEqual([]);
    // Runs in which nobody lost to anybody prove nothing.
    expect([...statuses()]).toEqual(expect.arrayContaining(['applied', 'merged']));
    expect(LOST.some((status) => statuses().has(status))).toBe(true);
  });
});
