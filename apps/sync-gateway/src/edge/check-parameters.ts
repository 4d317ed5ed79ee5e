import { findUnstorable } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';

/**
 * Whatever stands in a path or a query may end in a database, here or in another app: what none can keep is
 * refused before any route sees it, whether the route knows the parameter or not.
 * @throws ProblemError `schema_invalid` with the name of the parameter as its path
 */
export function checkParameters(request: FastifyRequest): void {
  const fault = findUnstorable(request.params) ?? findUnstorable(request.query);
  if (fault) throw new ProblemError('schema_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
}
