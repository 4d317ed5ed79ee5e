import { describe, expect, it } from '@jest/globals';
import type { StackLine } from '@sync/e2e-device';
import { runSeries } from './run-series.ts';

/** The long series is `npm run custody`. */
const SEEDS = [3, 7, 11];

describe('deletions, re-creations, documents, restored devices, shared tablets, withdrawn courses', () => {
  it('lose no written value: it is there, was overwritten by somebody who saw it, or is recorded', async () => {
    const stack = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
    const results = await runSeries(stack, SEEDS, 1, () => undefined);
    expect(results.flatMap(({ violations, report }) => (violations.length > 0 ? [report] : []))).toEqual([]);
    // Runs in which nobody lost to anybody prove nothing.
    const statuses = new Set(results.flatMap((result) => [...result.statuses.keys()]));
    expect([...statuses]).toEqual(expect.arrayContaining(['applied', 'merged', 'superseded']));
  });
});
