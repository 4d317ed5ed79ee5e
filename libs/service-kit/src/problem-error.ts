import { PROBLEM_CODES, type Problem, type ProblemCode, problem } from '@sync/protocol';

export interface ProblemOptions {
  /** Offending places, JSON Pointers into the request body. */
  readonly errors?: readonly { path: string; message: string }[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Members added to the problem document, such as the ConflictRecord of `conflict_already_resolved`. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Thrown anywhere below an HTTP edge; answered as RFC 9457 problem+json. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return PROBLEM_CODES[this.code].status;
  }

  toBody(nowMs: number): Problem & Readonly<Record<string, unknown>> {
    const body = problem(this.code, this.message, new Date(nowMs).toISOString(), this.options.errors);
    return { ...body, ...this.options.extra };
  }
}
