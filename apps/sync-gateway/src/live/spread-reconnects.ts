const MIN_SPREAD_MS = 1_000;
const MAX_SPREAD_MS = 30_000;

/**
 * When one of many clients should connect again: spread so that about a thousand come in a second, because
 * each costs a ticket, a look-up of its device and of its scopes.
 *
 * @param sockets that are closed together
 * @param random from 0 up to 1
 * @returns whole milliseconds
 */
export function reconnectAfterMs(sockets: number, random: number): number {
  return Math.floor(random * Math.min(MAX_SPREAD_MS, Math.max(MIN_SPREAD_MS, sockets)));
}
