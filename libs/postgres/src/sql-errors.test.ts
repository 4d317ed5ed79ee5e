import { describe, expect, it } from '@jest/globals';
import { isPassing, isUnavailable, NoAnswerError, retryConflicts, sqlStateOf } from './sql-errors.ts';

const withCode = (code: string): Error => Object.assign(new Error(code), { code });

describe('sqlStateOf', () => {
  it('reads the state from the driver and through TypeORM', () => {
    expect(sqlStateOf(withCode('23505'))).toBe('23505');
    expect(sqlStateOf({ message: 'wrapped', driverError: withCode('40P01') })).toBe('40P01');
  });

  it.each([undefined, null, 'text', 7, new Error('plain'), withCode('EPIPE'), { code: 23505 }])(
    'finds none in %p',
    (value) => {
      expect(sqlStateOf(value)).toBeUndefined();
    },
  );
});

describe('isUnavailable', () => {
  it.each([
    'ECONNREFUSED',
    'EPIPE',
    'EAI_AGAIN',
    'EADDRNOTAVAIL',
    'EMFILE',
    '57P01',
    '57P03',
    '08006',
    '53100',
    '53300',
    '58030',
    '25006',
  ])('%s means later', (code) => {
    expect(isUnavailable(withCode(code))).toBe(true);
  });

  it.each(['23505', '42P01', '40001', 'P0001'])('%s is about the request itself', (code) => {
    expect(isUnavailable(withCode(code))).toBe(false);
  });

  it('knows the texts of errors without a code', () => {
    expect(isUnavailable(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isUnavailable(new Error('timeout exceeded when trying to connect'))).toBe(true);
    expect(isUnavailable(new Error('Query read timeout'))).toBe(true);
    expect(isUnavailable(new Error('timeout expired'))).toBe(true);
    expect(isUnavailable(new Error('Client was closed and is not queryable'))).toBe(true);
    expect(isUnavailable(new NoAnswerError('no answer within 5 ms'))).toBe(true);
    expect(isUnavailable(new AggregateError([withCode('ETIMEDOUT')]))).toBe(true);
    expect(isUnavailable(new AggregateError([new Error('something of ours')]))).toBe(false);
    expect(isUnavailable(new Error('something of ours'))).toBe(false);
    expect(isUnavailable(undefined)).toBe(false);
  });
});

describe('isPassing', () => {
  it.each(['40P01', '40001', '55P03', '57014'])('%s is true of the moment', (code) => {
    expect(isPassing(withCode(code))).toBe(true);
  });

  it.each(['23505', '57P01', 'EPIPE'])('%s is not', (code) => {
    expect(isPassing(withCode(code))).toBe(false);
  });
});

describe('retryConflicts', () => {
  /** Fails `failures` times with this code and then answers with the number of the attempt. */
  const flaky = (failures: number, code: string): (() => Promise<number>) => {
    let attempt = 0;
    return () => {
      attempt += 1;
      return attempt <= failures ? Promise.reject(withCode(code)) : Promise.resolve(attempt);
    };
  };
  const options = { attempts: 3, baseDelayMs: 1, random: () => 0 };

  it.each(['40P01', '40001'])('repeats after %s', async (code) => {
    expect(await retryConflicts(flaky(2, code), options)).toBe(3);
  });

  it('gives up after its attempts, with the last error', async () => {
    await expect(retryConflicts(flaky(3, '40001'), options)).rejects.toThrow('40001');
  });

  it('passes every other error on at once', async () => {
    const work = flaky(1, '23505');
    await expect(retryConflicts(work, options)).rejects.toThrow('23505');
    expect(await work()).toBe(2);
  });
});
