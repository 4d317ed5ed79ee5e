import { ProblemError } from '@sync/service-kit';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';

/**
 * Query parameters as a class with class-validator's decorators describes them; unknown ones are ignored.
 * @throws ProblemError `schema_invalid` with the name of each offending parameter as its path
 */
export function decodeQuery<T extends object>(type: new () => T, query: unknown): T {
  const decoded = plainToInstance(type, query ?? {}, { exposeUnsetFields: false });
  const faults = validateSync(decoded, { forbidUnknownValues: true });
  if (faults.length === 0) return decoded;
  const errors = faults.map(({ property, constraints }) => ({
    path: `/${property}`,
    message: Object.values(constraints ?? {}).join('; '),
  }));
  const [first] = errors;
  throw new ProblemError('schema_invalid', `${first?.path ?? ''}: ${first?.message ?? ''}`, { errors });
}
