import { ProblemError } from '@sync/service-kit';

/**
 * A parameter of a path or query, checked.
 * @param pattern source of a regular expression, from `@sync/protocol`
 * @throws ProblemError `schema_invalid`
 */
export function parameter(name: string, value: string | undefined, pattern: string): string {
  if (value !== undefined && new RegExp(pattern).test(value)) return value;
  throw new ProblemError('schema_invalid', `${name} must match ${pattern}`, {
    errors: [{ path: `/${name}`, message: `must match ${pattern}` }],
  });
}
