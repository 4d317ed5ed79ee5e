import { StorageError } from '../store.ts';
import type { StorageErrorCode } from '../store.ts';

/** By the name of the DOMException. What is not named here is `failed`. */
const CODES: Readonly<Record<string, StorageErrorCode>> = {
  QuotaExceededError: 'full',
  // The database was lifted by a newer version of the app.
  VersionError: 'outdated',
  // Chromium: a large value lies in a file of its own, and that is gone.
  NotReadableError: 'damaged',
  // An object store of ours is not there.
  NotFoundError: 'damaged',
};

export function indexedDbError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const { name, message } = error as Error;
  return new StorageError(CODES[name] ?? 'failed', `IndexedDB: ${name}: ${message}`, { cause: error });
}
