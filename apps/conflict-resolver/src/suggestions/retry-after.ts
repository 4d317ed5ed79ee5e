/**
 * The pause that `Retry-After` (RFC 9110, 10.2.3) asks for, in milliseconds.
 *
 * @param value seconds, or an HTTP date
 * @returns `null` for a missing or malformed header; never negative
 */
export function retryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value.trim()) * 1_000;
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
