import { storableJson } from '@sync/domain';
import { type Problem, type ProblemCode, Refusal, type RefusalOptions } from '@sync/protocol';

export interface RefusedRequestOptions extends RefusalOptions {
  /** Seconds. */
  readonly retryAfter?: number;
}

/** A request that is answered with a problem document (COMMON-8). */
export class RefusedRequest extends Refusal<RefusedRequestOptions> {
  override readonly name = 'RefusedRequest';

  constructor(code: ProblemCode, detail: string, options: RefusedRequestOptions = {}) {
    super(code, detail, options);
  }

  /** As it is answered: a path or a message may repeat what no strict reader takes (COMMON-19). */
  override toBody(nowMs: number): Problem & Readonly<Record<string, unknown>> {
    return JSON.parse(storableJson(super.toBody(nowMs))) as Problem;
  }
}

/** @throws RefusedRequest `schema_invalid` that names one place */
export function refusePath(path: string, message: string): never {
  throw new RefusedRequest('schema_invalid', `${path}: ${message}`, { errors: [{ path, message }] });
}
