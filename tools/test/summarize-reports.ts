/** Sums up what `jest --json` wrote for each project. */

/** Tests, or whole checks, that passed and failed. */
export interface Summary {
  readonly passed: number;
  readonly failed: number;
}

/** The part of a report that is read. */
interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Test files that could not even be loaded. */
  readonly numRuntimeErrorTestSuites: number;
}

/**
 * @param reports by project; the text of its report, or `undefined` when it wrote none
 * @returns a project without a readable report counts as one failure: it must never look like "nothing to complain about"
 */
export function summarizeReports(reports: ReadonlyMap<string, string | undefined>): Summary {
  let [passed, failed] = [0, 0];
  for (const text of reports.values()) {
    const report = parseReport(text);
    passed += report?.numPassedTests ?? 0;
    failed += report === undefined ? 1 : report.numFailedTests + report.numRuntimeErrorTestSuites;
  }
  return { passed, failed };
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
    [value.numPassedTests, value.numFailedTests, value.numRuntimeErrorTestSuites].every(Number.isInteger)
  );
}

/** The line that every run ends with. */
export function summaryLine({ passed, failed }: Summary): string {
  return `${passed} passed, ${failed} failed`;
}
