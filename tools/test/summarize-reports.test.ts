import { describe, expect, it } from '@jest/globals';
import { summarizeReports, summaryLine } from './summarize-reports.ts';

const report = (passed: number, failed: number, broken: number): string =>
  JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numRuntimeErrorTestSuites: broken });

describe('summarizeReports', () => {
  it('adds up projects, and counts a suite that could not be loaded as a failure', () => {
    const reports = new Map([
      ['a', report(10, 1, 0)],
      ['b', report(5, 0, 2)],
    ]);
    expect(summaryLine(summarizeReports(reports))).toBe('15 passed, 3 failed');
  });

  it.each([undefined, '', '{', 'null', '{}', '{"numPassedTests":"1"}'])(
    'counts report %j as a failure',
    (text) => {
      expect(summarizeReports(new Map([['a', text]]))).toEqual({ passed: 0, failed: 1 });
    },
  );
});
