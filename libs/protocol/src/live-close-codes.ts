/**
 * Why the server closes `/sync/v1/live`. A ticket is redeemed with the socket open, because browsers show
 * close codes but no refused upgrades.
 */
export const LIVE_CLOSE_CODES = {
  goingAway: { code: 1001, meaning: 'This replica stops: connect again.' },
  serviceRestart: {
    code: 1012,
    meaning: 'This replica stops: connect again when the reason, `retry-after-ms=<n>`, says.',
  },
  ticketInvalid: { code: 4401, meaning: 'The ticket is unknown, used or expired: get a new one.' },
  deviceRevoked: { code: 4403, meaning: 'The device is not bound any more: remove local data.' },
  tooSlow: { code: 4408, meaning: 'The client does not read: connect again and pull.' },
  replaced: { code: 4409, meaning: 'The device opened too many sockets: come back with a pause.' },
  unavailable: { code: 4503, meaning: 'The ticket cannot be checked now: come back with a pause.' },
} as const;
