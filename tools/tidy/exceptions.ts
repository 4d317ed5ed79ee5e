/** A place where a rule does not hold, and why. One that excuses nothing any more is itself reported. */
export interface Exception {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    rule: 'document-line-length',
    path: 'docs/protocol-tests.md',
    reason: 'an index: each line names one test by its path and title',
  },
  {
    rule: 'sql-function-length',
    path: 'apps/sync-gateway/src/pull/pull.sql',
    reason:
      'pull_read fills one row after the other in variables that functions of its own would have to be given',
  },
  {
    rule: 'sql-function-length',
    path: 'apps/sync-gateway/src/ack/ack.sql',
    reason: 'one step after the other, each of which fills what the events at its end tell of',
  },
  {
    rule: 'sql-function-length',
    path: 'apps/device-health/src/events/save-observations.sql',
    reason: 'six statements that have nothing to do with each other, one for each kind of observation',
  },
  {
    rule: 'one-reader-of-the-environment',
    path: 'e2e/conformance/src/kit/platform.ts',
    reason: 'the kit runs against any platform, which STACK_JSON names; its tests ask here and nowhere else',
  },
  {
    rule: 'one-reader-of-the-environment',
    path: 'e2e/conformance/src/run-checks.ts',
    reason: 'hands the environment on to the Jest that it starts, and reads nothing from it',
  },
  {
    rule: 'one-reader-of-the-environment',
    path: 'e2e/device/src/stack-process.ts',
    reason: 'hands the environment on to the process that it starts, and reads nothing from it',
  },
];
