import { backoffMs } from '@sync/domain';
import { LIVE_CLOSE_CODES } from '@sync/protocol/device';

/** A socket that was open for so long was a good one: what failed before it does not count any more. */
export const STEADY_MS = 30_000;

const ORDINARY = { baseMs: 1_000, capMs: 60_000 };
/** Other sockets of the device pushed it out: it is to stay away for longer than they take to come back. */
const REPLACED = { baseMs: 15_000, capMs: 300_000 };
/** A server says no more (LIVE-5). */
const MAX_TOLD_MS = 30_000;
const TOLD = /^retry-after-ms=(\d{1,9})$/;

/** Why there is no socket any more. */
export interface SocketEnd {
  /** Of RFC 6455 or LIVE_CLOSE_CODES; null when there never was one. */
  readonly code: number | null;
  readonly reason: string;
  /** It was open for {@link STEADY_MS}. */
  readonly wasSteady: boolean;
  /** What an answer without a ticket asked for. */
  readonly retryAfterMs: number | null;
}

/**
 * How long to stay away. A server is believed when it says so, but one that closes again and again is left
 * alone for longer each time, whatever it says.
 * @param failures in a row, this one included: at least 1
 * @param random in [0, 1)
 */
export function pauseMs(
  { code, reason, wasSteady, retryAfterMs }: SocketEnd,
  failures: number,
  random: number,
): number {
  const bounds = code === LIVE_CLOSE_CODES.replaced.code ? REPLACED : ORDINARY;
  const ownMs = backoffMs(failures, bounds, random);
  const told = code === LIVE_CLOSE_CODES.serviceRestart.code ? TOLD.exec(reason)?.[1] : undefined;
  if (told === undefined) return Math.max(ownMs, retryAfterMs ?? 0);
  const toldMs = Math.min(Number(told), MAX_TOLD_MS);
  return wasSteady ? toldMs : Math.max(ownMs, toldMs);
}
