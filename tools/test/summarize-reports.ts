/** Sums up what `jest --json` wrote for each project. */

/** Tests, or whole checks, that passed and failed. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
}

/** What came of the tests, with the names of those that failed: a log of minutes shows its end first. */
export interface TestSummary extends Summary {
  /**
   * `project: test`, or `project: file` where a file could not be loaded, each followed by what Jest says of
   * it.
   */
  readonly failures: readonly string[];
}

interface TestFile {
  readonly name: string;
  readonly status: string;
  /** Empty when every test passed. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly fullName: string;
    readonly status: string;
    readonly failureMessages: readonly string[];
  }[];
}

/** The part of a report that is read. */
interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Test files that could not even be loaded. */
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly TestFile[];
}

/**
 * @param reports by project; the text of its report, or `undefined` when it wrote none
 * @returns a project without a readable report counts as one failure: it must never look like "nothing to
 * complain about"
 */
export function summarizeReports(reports: ReadonlyMap<string, string | undefined>): TestSummary {
  let [passed, failed] = [0, 0];
  const failures: string[] = [];
  for (const [project, text] of reports) {
    const report = parseReport(text);
    passed += report?.numPassedTests ?? 0;
    failed += report === undefined ? 1 : report.numFailedTests + report.numRuntimeErrorTestSuites;
    const found = report === undefined ? ['no readable report'] : report.testResults.flatMap(failuresOf);
    failures.push(...found.map((failure) => `${project}: ${failure}`));
  }
  return { passed, failed, failures };
}

function failuresOf({ name, status, message, assertionResults }: TestFile): string[] {
  const failed = assertionResults.filter((test) => test.status === 'failed');
  if (failed.length === 0 && status === 'failed') return [`${name}\n${message}`];
  return failed.map(({ fullName, failureMessages }) => `${fullName}\n${failureMessages.join('\n')}`);
}

function parseReport(text: string | undefined): JestReport | undefined {
  try {
    const report: unknown = JSON.parse(text ?? '');
    return isReport(report) ? report : undefined;
  } catch {
    return undefined;
  }
}

function isReport(value: unknown): value is JestReport {
  return (
    typeof value === 'object' &&
    value !== null &&
    'numPassedTests' in value &&
    'numFailedTests' in value &&
    'numRuntimeErrorTestSuites' in value &&
    [value.numPassedTests, value.numFailedTests, value.numRuntimeErrorTestSuites].every(Number.isInteger) &&
    'testResults' in value &&
    Array.isArray(value.testResults)
  );
}

/** The line that every run ends with. */
export function summaryLine({ passed, failed }: Summary): string {
  return `${passed} passed, ${failed} failed`;
}
