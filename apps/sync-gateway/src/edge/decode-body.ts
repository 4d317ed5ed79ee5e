import type { SchemaFault, Validated } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';

/** What a schema checker says when something is counted or measured and there is too much of it. */
const OVER_A_LIMIT = /must not have more than|must be <=|must not be longer|fewer than or equal/i;

/**
 * The request's body as its schema types it. The request lets go of it: whoever waits after this keeps only
 * what it took out of the answer.
 * @param validate made once with `validator(Schema)`
 * @throws ProblemError `limit_exceeded` when only bounds are broken, else `schema_invalid`, both with paths
 */
export function decodeBody<T>(request: FastifyRequest, validate: (value: unknown) => Validated<T>): T {
  const result = validate(request.body);
  request.body = undefined;
  if (result.ok) return result.value;
  const code = result.faults.every(isOverLimit) ? 'limit_exceeded' : 'schema_invalid';
  const first = result.faults[0];
  throw new ProblemError(code, `${first?.path ?? ''}: ${first?.message ?? 'does not match the schema'}`, {
    errors: result.faults,
  });
}

function isOverLimit(fault: SchemaFault): boolean {
  return OVER_A_LIMIT.test(fault.message);
}
