import { RemoteError } from '@sync/messaging';
import { isUnavailable } from '@sync/postgres';
import type { SchemaFault } from '@sync/protocol';

/** Offending paths as one line of an error message. */
export function faultsText(faults: readonly SchemaFault[]): string {
  return faults.map(({ path, message }) => `${path} ${message}`).join('; ');
}

/** Tells a caller that Postgres is away in words it can act on; every other error goes on as it is. */
export function unavailableOr(error: unknown): never {
  if (!isUnavailable(error)) throw error;
  const remote = new RemoteError('unavailable', 'The service’s database is not available');
  remote.cause = error;
  throw remote;
}
