import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { correctOccurredAtMs } from './correct-occurred-at.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const TEN_YEARS_MS = 10 * 365 * 86_400_000;

describe('correctOccurredAtMs', () => {
  it.each([0, 1, -1, TEN_YEARS_MS, -TEN_YEARS_MS])('cancels a device offset of %d ms', (offsetMs) => {
    const sentAtMs = NOW_MS + offsetMs;
    const occurredAtMs = sentAtMs - 3_600_000;
    expect(correctOccurredAtMs({ occurredAtMs, sentAtMs, serverNowMs: NOW_MS })).toBe(NOW_MS - 3_600_000);
  });

  it('takes the time as it is when the device did not say when it sent', () => {
    const input = { sentAtMs: null, serverNowMs: NOW_MS };
    expect(correctOccurredAtMs({ ...input, occurredAtMs: NOW_MS - 5 })).toBe(NOW_MS - 5);
    expect(correctOccurredAtMs({ ...input, occurredAtMs: NOW_MS + TEN_YEARS_MS })).toBe(NOW_MS);
  });

  it('is never later than now, even when the device says it happened after sending', () => {
    expect(correctOccurredAtMs({ occurredAtMs: 20, sentAtMs: 10, serverNowMs: NOW_MS })).toBe(NOW_MS);
  });

  it('is never before 1970', () => {
    const ancient = { occurredAtMs: -TEN_YEARS_MS * 100, serverNowMs: NOW_MS };
    expect(correctOccurredAtMs({ ...ancient, sentAtMs: null })).toBe(0);
    expect(correctOccurredAtMs({ ...ancient, sentAtMs: NOW_MS })).toBe(0);
  });

  it('keeps the order of what one device did', () => {
    const time = fc.integer({ min: NOW_MS - TEN_YEARS_MS, max: NOW_MS + TEN_YEARS_MS });
    fc.assert(
      fc.property(time, time, time, (a, b, sentAtMs) => {
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const correct = (occurredAtMs: number): number =>
          correctOccurredAtMs({ occurredAtMs, sentAtMs, serverNowMs: NOW_MS });
        expect(correct(first)).toBeLessThanOrEqual(correct(second));
      }),
    );
  });
});
