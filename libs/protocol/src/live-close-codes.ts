/**
 * Why the server closes `/sync/v1/live`. A ticket is redeemed with the socket open, because browsers show
 * close codes but no refused upgrades.
 */
export const LIVE_CLOSE_CODES = {
  goingAway: { code: 1001 },
  serviceRestart: { code: 1012 },
  ticketInvalid: { code: 4401 },
  deviceRevoked: { code: 4403 },
  tooSlow: { code: 4408 },
  replaced: { code: 4409 },
  unavailable: { code: 4503 },
} as const;

/** For people. Apart from the codes, because devices load those. */
const LIVE_CLOSE_MEANINGS: Readonly<Record<keyof typeof LIVE_CLOSE_CODES, string>> = {
  goingAway: 'This replica stops: connect again.',
  serviceRestart: 'This replica stops: connect again when the reason, `retry-after-ms=<n>`, says.',
  ticketInvalid: 'The ticket is unknown, used or expired: get a new one.',
  deviceRevoked: 'The device is not bound any more: remove local data.',
  tooSlow: 'The client does not read: connect again and pull.',
  replaced: 'The device opened too many sockets: come back with a pause.',
  unavailable: 'The ticket cannot be checked now: come back with a pause.',
};

/** @returns each code with what it says, in their order */
export function liveCloseCodes(): { readonly code: number; readonly meaning: string }[] {
  const names = Object.keys(LIVE_CLOSE_CODES) as (keyof typeof LIVE_CLOSE_CODES)[];
  return names.map((name) => ({ ...LIVE_CLOSE_CODES[name], meaning: LIVE_CLOSE_MEANINGS[name] }));
}
