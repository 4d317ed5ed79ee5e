import { type ProblemCode, Refusal, type RefusalOptions } from '@sync/protocol';

export interface ProblemOptions extends RefusalOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown anywhere below an HTTP edge; answered as RFC 9457 problem+json. */
export class ProblemError extends Refusal<ProblemOptions> {
  override readonly name = 'ProblemError';

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(code, detail, options);
  }
}
