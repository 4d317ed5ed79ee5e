import { ProblemError } from '@sync/service-kit';

/**
 * Names that may stand once only: of two entries for one scope, neither is clearly the one that was meant.
 * @param pathOf JSON Pointer of the entry at a place
 * @throws ProblemError `schema_invalid`
 */
export function refuseRepeated(names: readonly string[], pathOf: (at: number) => string): void {
  const known = new Set<string>();
  const errors: { path: string; message: string }[] = [];
  names.forEach((name, at) => {
    if (known.has(name)) errors.push({ path: pathOf(at), message: 'stands here for the second time' });
    known.add(name);
  });
  if (errors.length > 0)
    throw new ProblemError('schema_invalid', `${errors[0]?.path ?? ''}: repeated`, { errors });
}
