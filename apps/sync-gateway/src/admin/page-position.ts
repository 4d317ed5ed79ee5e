import { readJson } from '@sync/domain';
import { findUnstorable } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';

/** The cursor of a list: where its page ended. */
export function encodePosition(position: readonly string[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/**
 * Not secret and not signed: whatever it says, the page holds only rows of the administrator's tenant.
 * @throws ProblemError `schema_invalid` for what {@link encodePosition} has not made of that many parts
 */
export function decodePosition(cursor: string, length: number): string[] {
  try {
    const position = readJson(Buffer.from(cursor, 'base64url').toString());
    if (
      Array.isArray(position) &&
      position.length === length &&
      position.every((part) => typeof part === 'string') &&
      findUnstorable(position) === null
    ) {
      return position;
    }
  } catch {
    // Answered below, like any other text that is not ours.
  }
  throw new ProblemError('schema_invalid', '/cursor: not a cursor of this list', {
    errors: [{ path: '/cursor', message: 'not a cursor of this list' }],
  });
}
