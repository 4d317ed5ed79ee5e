/** Something that a device has open here: a long poll, a socket. */
export interface OpenHere {
  /** Monotonic, milliseconds. */
  readonly sinceMs: number;
  /** It was asked to make room and will end soon. */
  readonly leaving: boolean;
}

/** Windows of an app, and what a device has given up without our knowing, side by side. */
export const ROOM_PER_DEVICE = 8;
/** Together with those that are asked to leave. */
const MOST_PER_DEVICE = 2 * ROOM_PER_DEVICE;
/**
 * Nobody is put out sooner. Windows that come again as soon as they are put out would otherwise put each
 * other out without end.
 */
const MIN_STAY_MS = 5_000;

/** What one more of them asks for: `oldest` is to end after `afterMs`; `refused`: too many come too fast. */
export type Room<T> =
  | { readonly kind: 'free' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'oldest'; readonly oldest: T; readonly afterMs: number };

/** @param open what the device has open already, oldest first */
export function roomForOneMore<T extends OpenHere>(open: readonly T[], nowMs: number): Room<T> {
  if (open.length >= MOST_PER_DEVICE) return { kind: 'refused' };
  const [oldest, ...others] = open.filter(({ leaving }) => !leaving);
  if (!oldest || others.length + 1 < ROOM_PER_DEVICE) return { kind: 'free' };
  return { kind: 'oldest', oldest, afterMs: Math.max(0, oldest.sinceMs + MIN_STAY_MS - nowMs) };
}
