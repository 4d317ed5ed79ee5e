import { describe, expect, it } from '@jest/globals';
import { problem } from './error-codes.ts';
import { PROBLEM_CODES } from './problem-codes.ts';
import { OUTCOME_CODES } from './outcome-codes.ts';

describe('PROBLEM_CODES', () => {
  it.each(Object.entries(PROBLEM_CODES))(
    '%s says what it is, what to do, and has an error status',
    (code, kind) => {
      expect(code).toMatch(/^[a-z][a-z0-9_]{0,63}$/);
      expect(kind.status).toBeGreaterThanOrEqual(400);
      expect(kind.status).toBeLessThan(600);
      expect(kind.title).not.toMatch(/\.$/);
      expect(kind.remedy).toMatch(/\.$/);
    },
  );

  it('promises a later success only where waiting or correcting the clock helps', () => {
    const retryable = Object.entries(PROBLEM_CODES).filter(([, kind]) => kind.retryable);
    expect(retryable.map(([code]) => code).sort()).toEqual([
      'clock_skew',
      'internal',
      'rate_limited',
      'request_timeout',
      'unavailable',
    ]);
  });
});

describe('OUTCOME_CODES', () => {
  it('are codes with a meaning', () => {
    for (const [code, meaning] of Object.entries(OUTCOME_CODES)) {
      expect(code).toMatch(/^[a-z][a-z0-9_]{0,63}$/);
      expect(meaning).toMatch(/\.$/);
    }
  });
});

describe('problem', () => {
  const at = '2024-01-01T00:00:00.000Z';

  it('is a problem document of RFC 9457', () => {
    expect(problem('clock_skew', '400 s away', at)).toEqual({
      type: 'urn:sync-service:problem:clock_skew',
      title: 'The signature was created too far from server time',
      status: 401,
      detail: '400 s away',
      code: 'clock_skew',
      retryable: true,
      serverTime: at,
    });
  });

  it('lists offending paths only when there are some', () => {
    const errors = [{ path: '/limit', message: 'must be <= 1000' }];
    expect(problem('schema_invalid', 'x', at, errors)).toHaveProperty('errors', errors);
    expect(problem('schema_invalid', 'x', at, [])).not.toHaveProperty('errors');
  });
});
