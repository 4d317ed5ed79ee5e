import { RemoteError } from '@sync/messaging';
import { isPassing, isUnavailable, type StatementLimits } from '@sync/postgres';
import type { SchemaFault } from '@sync/protocol';

/** Offending paths as one line of an error message. */
export function faultsText(faults: readonly SchemaFault[]): string {
  return faults.map(({ path, message }) => `${path} ${message}`).join('; ');
}

/**
 * Of transactions that lock entities. Whoever asks waits for 12 s at the most (a gateway's dispatcher), and
 * takes a later answer for none: it asks again, while the first request still holds its locks. So a failure
 * has to be told before that.
 */
export const LOCKING_LIMITS: StatementLimits = { statementMs: 4_000, lockMs: 3_000 };

/**
 * Tells a caller that Postgres is away, or too busy, in words it can act on; every other error goes on as it
 * is.
 */
export function unavailableOr(error: unknown): never {
  if (!isUnavailable(error) && !isPassing(error)) throw error;
  const remote = isUnavailable(error)
    ? new RemoteError('unavailable', 'The service’s database is not available')
    : new RemoteError('overloaded', 'The service’s database has too much to do, try again later');
  remote.cause = error;
  throw remote;
}
