import { storableJson } from '@sync/domain';
import { PROBLEM_CODES, type Problem, type ProblemCode, problem } from '@sync/protocol';

export interface RefusedRequestOptions {
  /** Offending places, JSON Pointers into the body. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** Members that the problem document has besides. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Seconds. */
  readonly retryAfter?: number;
}

/** A request that is answered with a problem document (COMMON-8). */
export class RefusedRequest extends Error {
  readonly code: ProblemCode;
  readonly options: RefusedRequestOptions;

  constructor(code: ProblemCode, detail: string, options: RefusedRequestOptions = {}) {
    super(detail);
    this.name = 'RefusedRequest';
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return PROBLEM_CODES[this.code].status;
  }

  /** The problem as it is answered. */
  toBody(nowMs: number): Problem & Readonly<Record<string, unknown>> {
    const { errors, extra } = this.options;
    const body = problem(
      this.code,
      this.message,
      new Date(nowMs).toISOString(),
      errors?.map((each) => ({ ...each })),
    );
    // A path or a message may repeat what no strict reader takes (COMMON-19).
    return JSON.parse(storableJson({ ...body, ...extra })) as Problem;
  }
}

/** @throws RefusedRequest `schema_invalid` that names one place */
export function refusePath(path: string, message: string): never {
  throw new RefusedRequest('schema_invalid', `${path}: ${message}`, { errors: [{ path, message }] });
}
