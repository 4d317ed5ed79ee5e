import { describe, expect, it } from '@jest/globals';
import { FAILURES_BEFORE_GIVING_UP, isHopeless } from './give-up.ts';

const DAY_MS = 86_400_000;
const SINCE_MS = 1_000;
const tried = { failures: FAILURES_BEFORE_GIVING_UP, sinceMs: SINCE_MS };

describe('a mutation that its owner fails at', () => {
  it('is given up after enough failures over enough time, while others are answered', () => {
    expect(isHopeless(tried, SINCE_MS + 1, DAY_MS, SINCE_MS + DAY_MS)).toBe(true);
  });

  it('is not given up after few failures, however long ago the first was', () => {
    const few = { ...tried, failures: FAILURES_BEFORE_GIVING_UP - 1 };
    expect(isHopeless(few, SINCE_MS + 1, DAY_MS, SINCE_MS + 100 * DAY_MS)).toBe(false);
  });

  it('is not given up within the time, however often it failed', () => {
    const often = { ...tried, failures: 10_000 };
    expect(isHopeless(often, SINCE_MS + 1, DAY_MS, SINCE_MS + DAY_MS - 1)).toBe(false);
  });

  it('has seven times as long while its owner answers nobody', () => {
    expect(isHopeless(tried, SINCE_MS, DAY_MS, SINCE_MS + 7 * DAY_MS - 1)).toBe(false);
    expect(isHopeless(tried, SINCE_MS, DAY_MS, SINCE_MS + 7 * DAY_MS)).toBe(true);
  });

  it('is never given up at its first failure', () => {
    const first = { failures: FAILURES_BEFORE_GIVING_UP, sinceMs: null };
    expect(isHopeless(first, SINCE_MS + 1, DAY_MS, SINCE_MS + 100 * DAY_MS)).toBe(false);
  });
});
