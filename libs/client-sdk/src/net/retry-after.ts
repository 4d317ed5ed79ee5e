/** A server that says more is wrong, or not ours: a device has to come back on the same day. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/** One of the three forms of RFC 9110, 5.6.7; each begins with the day of the week. */
const HTTP_DATE = /^[A-Z][a-z]{2,8},? [\x20-\x7e]{10,40}$/;

/**
 * @param field `Retry-After`: seconds, or an HTTP date
 * @param serverNowMs what a date is compared with
 * @returns 0 to an hour, in milliseconds; null when there is none, or it cannot be read
 */
export function retryAfterMs(field: string | null, serverNowMs: number): number | null {
  const text = field?.trim() ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : (readHttpDate(text) ?? Number.NaN) - serverNowMs;
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

/** @returns Unix time in milliseconds, or null */
export function readHttpDate(text: string | null): number | null {
  const ms = HTTP_DATE.test(text ?? '') ? Date.parse(text ?? '') : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
