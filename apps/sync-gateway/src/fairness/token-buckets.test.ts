import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenBuckets } from './token-buckets.ts';

const LIMIT = { msPerSecond: 100, burstMs: 1_000 };

it('lets a rested one cause its burst at once, and tells how long it has to pay for the rest', () => {
  const buckets = new TokenBuckets(LIMIT);
  buckets.charge('d', 1_000, 5_000);
  expect(buckets.debtMs('d', 5_000)).toBe(0);
  buckets.charge('d', 50, 5_000);
  expect([buckets.debtMs('d', 5_000), buckets.debtMs('d', 5_499), buckets.debtMs('d', 5_500)]).toEqual([
    500, 1, 0,
  ]);
  expect(buckets.debtMs('other', 5_000)).toBe(0);
});

it('gives back what was charged too much, and not more than a full bucket', () => {
  const buckets = new TokenBuckets(LIMIT);
  buckets.charge('d', 1_100, 0);
  buckets.charge('d', -100, 0);
  expect(buckets.debtMs('d', 0)).toBe(0);
  buckets.charge('d', -5_000, 0);
  buckets.charge('d', 1_001, 0);
  expect(buckets.debtMs('d', 0)).toBe(10);
});

const Limit = fc.record({
  msPerSecond: fc.integer({ min: 1, max: 5_000 }),
  burstMs: fc.integer({ min: 1, max: 100_000 }),
});
const Step = fc.record({
  afterMs: fc.integer({ min: 0, max: 5_000 }),
  workMs: fc.integer({ min: 1, max: 500 }),
});

it('lets nobody cause more than burst, rate and one request, and nobody less who waits as long as told', () => {
  fc.assert(
    fc.property(Limit, fc.array(Step, { maxLength: 200 }), (limit, steps) => {
      const buckets = new TokenBuckets(limit);
      let nowMs = 0;
      let workedMs = 0;
      for (const { afterMs, workMs } of steps) {
        nowMs += afterMs;
        if (buckets.debtMs('d', nowMs) > 0) continue;
        workedMs += workMs;
        buckets.charge('d', workMs, nowMs);
        expect(workedMs).toBeLessThanOrEqual(
          limit.burstMs + (nowMs / 1_000) * limit.msPerSecond + workMs + 1e-6,
        );
      }
      nowMs += buckets.debtMs('d', nowMs);
      // One millisecond for the rounding of doubles.
      expect(buckets.debtMs('d', nowMs + 1)).toBe(0);
    }),
  );
});

it('keeps a bounded number in memory, and none of those that are full again', () => {
  const buckets = new TokenBuckets(LIMIT, 500);
  for (let each = 0; each < 5_000; each += 1) buckets.charge(`d${each}`, 10, 0);
  expect(buckets.size).toBe(500);
  expect(buckets.debtMs('d4999', 0)).toBe(0);
  for (let each = 0; each < 500; each += 1) buckets.charge('one', 10, 1_000 + each);
  expect(buckets.size).toBe(1);
});
