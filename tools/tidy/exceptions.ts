/** A place where a rule does not hold, and why. One that excuses nothing any more is itself reported. */
export interface Exception {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    rule: 'one-reader-of-the-environment',
    path: 'e2e/conformance/src/kit/platform.ts',
    reason: 'the kit runs against any platform, which STACK_JSON names; its tests ask here and nowhere else',
  },
  {
    rule: 'one-reader-of-the-environment',
    path: 'e2e/device/src/stack-process.ts',
    reason: 'hands the environment on to the process that it starts, and reads nothing from it',
  },
];
