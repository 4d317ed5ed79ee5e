import { RemoteError } from '@sync/messaging';
import { validator } from '@sync/protocol';
import type { Static, TSchema } from 'typebox';

/**
 * Compiles a request's schema once.
 * @returns a function that answers the request, typed
 * @throws (the function) RemoteError `schema_invalid` with the first offending path
 */
export function checked<T extends TSchema>(schema: T): (body: unknown) => Static<T> {
  const check = validator(schema);
  return (body) => {
    const request = check(body);
    if (request.ok) return request.value;
    const [fault] = request.faults;
    throw new RemoteError('schema_invalid', `${fault?.path ?? ''} ${fault?.message ?? ''}`.trim());
  };
}
