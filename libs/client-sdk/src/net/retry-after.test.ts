import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_RETRY_AFTER_MS, retryAfterMs } from './retry-after.ts';

const NOW = Date.parse('2026-12-01T00:00:00Z');

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['30', 30_000],
    [' 7 ', 7_000],
    ['86400', MAX_RETRY_AFTER_MS],
    ['9'.repeat(400), MAX_RETRY_AFTER_MS],
    ['Tue, 01 Dec 2026 00:02:00 GMT', 120_000],
    ['Tuesday, 01-Dec-26 00:02:00 GMT', 120_000],
    ['Tue, 01 Dec 2026 09:00:00 GMT', MAX_RETRY_AFTER_MS],
    ['Mon, 30 Nov 2026 00:00:00 GMT', 0],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['', null],
    [null, null],
    ['2026-12-01T00:02:00Z', null],
  ])('%s is %s', (field, ms) => {
    expect(retryAfterMs(field, NOW)).toBe(ms);
  });

  it('is never negative, nor more than an hour', () => {
    const field = fc.oneof(
      fc.string(),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    );
    fc.assert(
      fc.property(field, fc.integer(), (text, now) => {
        const ms = retryAfterMs(text, now) ?? 0;
        expect(ms >= 0 && ms <= MAX_RETRY_AFTER_MS).toBe(true);
      }),
    );
  });
});
