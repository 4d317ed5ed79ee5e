import { readJson } from '@sync/domain';
import { RemoteError } from '@sync/messaging';

/**
 * Not secret and not signed: whatever it says, a page holds only what the request's tenant and user may see.
 */
export function encodeCursor(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/**
 * @throws RemoteError `cursor_invalid` for what `encodeCursor` has not made of that many parts, each accepted
 * by `isPart`
 */
export function decodeCursor(
  cursor: string,
  count: number,
  isPart: (part: string, place: number) => boolean,
): string[] {
  try {
    const parts = readJson(Buffer.from(cursor, 'base64url').toString());
    if (
      Array.isArray(parts) &&
      parts.length === count &&
      parts.every((part, place) => typeof part === 'string' && isPart(part, place))
    )
      return parts as string[];
  } catch {
    // Answered below, like any other text that is not ours.
  }
  throw new RemoteError('cursor_invalid', 'The page cursor is not one of this list');
}

export const POSITION = /^(0|[1-9]\d{0,18})$/;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The cursor of a list in the order of history positions; '0' without one. */
export function positionOf(cursor: string | null): string {
  if (cursor === null) return '0';
  return decodeCursor(cursor, 1, (part) => POSITION.test(part))[0] ?? '0';
}
