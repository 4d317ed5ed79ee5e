import { describe, expect, it } from '@jest/globals';
import { backoffMs } from './backoff.ts';

const BOUNDS = { baseMs: 100, capMs: 1_000 };

describe('backoffMs', () => {
  it('doubles up to its cap', () => {
    expect([1, 2, 3, 4, 5, 1_000].map((attempt) => backoffMs(attempt, BOUNDS, 1))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
  });

  it('is random in its upper half', () => {
    expect(backoffMs(2, BOUNDS, 0)).toBe(100);
    expect(backoffMs(2, BOUNDS, 0.5)).toBe(150);
  });

  it('stays a number after any number of attempts', () => {
    expect(backoffMs(10_000, { baseMs: 1, capMs: Infinity }, 1)).toBe(2 ** 30);
  });
});
