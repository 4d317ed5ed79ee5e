/** A place where a rule does not hold, and why. One that excuses nothing any more is itself reported. */
export interface Exception {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

export const EXCEPTIONS: readonly Exception[] = [];
