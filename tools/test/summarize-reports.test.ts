import { describe, expect, it } from '@jest/globals';
import { summarizeReports, summaryLine } from './summarize-reports.ts';

const report = (passed: number, failed: number, broken: number): string =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numRuntimeErrorTestSuites: broken,
    testResults: [],
  });

describe('summarizeReports', () => {
  it('adds up projects, and counts a suite that could not be loaded as a failure', () => {
    const reports = new Map([
      ['a', report(10, 1, 0)],
      ['b', report(5, 0, 2)],
    ]);
    expect(summaryLine(summarizeReports(reports))).toBe('15 passed, 3 failed');
  });

  it('names what failed and why: the test, or the file that could not be loaded', () => {
    const tested = (fullName: string, status: string, failureMessages: readonly string[]) => ({
      fullName,
      status,
      failureMessages,
    });
    const text = JSON.stringify({
      numPassedTests: 1,
      numFailedTests: 1,
      numRuntimeErrorTestSuites: 1,
      testResults: [
        {
          name: 'sums.test.ts',
          status: 'failed',
          message: 'all of it',
          assertionResults: [tested('adds', 'passed', []), tested('divides', 'failed', ['expected 1'])],
        },
        { name: 'broken.test.ts', status: 'failed', message: 'no such module', assertionResults: [] },
      ],
    });
    expect(summarizeReports(new Map([['a', text]])).failures).toEqual([
      'a: divides\nexpected 1',
      'a: broken.test.ts\nno such module',
    ]);
  });

  it.each([undefined, '', '{', 'null', '{}', '{"numPassedTests":"1"}'])(
    'counts report %j as a failure',
    (text) => {
      expect(summarizeReports(new Map([['a', text]]))).toEqual({
        passed: 0,
        failed: 1,
        failures: ['a: no readable report'],
      });
    },
  );
});
