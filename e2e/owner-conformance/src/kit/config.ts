import type { OwnerTarget } from './owner-file.ts';

/** The service under test, as the command handed it over. */
export function target(): OwnerTarget {
  const line = process.env['OWNER_JSON'];
  if (!line) throw new Error('OWNER_JSON is not set: npm run conformance -- --owner FILE runs these checks');
  return JSON.parse(line) as OwnerTarget;
}
