import { type SchemaFault, type Validated, findUnstorable } from '@sync/protocol';
import { RefusedRequest } from './refused-request.ts';

/** TypeBox says this of a list that is too long. */
const TOO_MANY = /must not have more than/;

/** @throws RefusedRequest `schema_invalid` or `limit_exceeded` with the offending paths */
export function decodeBody<T>(check: (value: unknown) => Validated<T>, body: unknown): T {
  const checked = check(body);
  if (checked.ok) return checked.value;
  const { faults } = checked;
  const code = faults.some(({ message }) => TOO_MANY.test(message)) ? 'limit_exceeded' : 'schema_invalid';
  throw refusalOf(code, faults);
}

/** @throws RefusedRequest `schema_invalid` for what cannot be kept as it was sent (COMMON-15) */
export function refuseUnstorable(body: unknown): void {
  const fault = findUnstorable(body);
  if (fault) throw refusalOf('schema_invalid', [fault]);
}

function refusalOf(
  code: 'schema_invalid' | 'limit_exceeded',
  errors: readonly SchemaFault[],
): RefusedRequest {
  const [first] = errors;
  return new RefusedRequest(code, `${first?.path ?? ''}: ${first?.message ?? 'is malformed'}`, { errors });
}
