import { StorageError } from '../store.ts';
import type { StorageErrorCode } from '../store.ts';

/** Every driver wraps SQLite's errors in its own way; SQLite's words and codes are in all of them. */
const SIGNS: readonly (readonly [RegExp, StorageErrorCode])[] = [
  [/SQLITE_FULL|database or disk is full|QuotaExceeded|ENOSPC/i, 'full'],
  [/SQLITE_(CORRUPT|NOTADB)|is malformed|is not a database|malformed database schema/i, 'damaged'],
];
const BUSY = /SQLITE_(BUSY|LOCKED)|database (table )?is locked|database schema is locked/i;

/** Another connection holds the lock; it is worth trying again. */
export function isBusy(error: unknown): boolean {
  return BUSY.test(wordsOf(error));
}

export function sqliteError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const words = wordsOf(error);
  const code = SIGNS.find(([sign]) => sign.test(words))?.[1] ?? 'failed';
  return new StorageError(code, `SQLite: ${words}`, { cause: error });
}

function wordsOf(error: unknown): string {
  const { code, message, errstr, cause } = (error ?? {}) as Record<string, unknown>;
  const words = [code, message, errstr].filter((word) => typeof word === 'string').join(' ');
  return cause === undefined ? words : `${words} ${wordsOf(cause)}`;
}
