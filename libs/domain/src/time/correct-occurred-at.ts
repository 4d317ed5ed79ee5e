/** What is known about the time of a mutation; all epoch milliseconds. */
export interface OccurredAtInput {
  /** The device's wall time when the mutation was made. */
  readonly occurredAtMs: number;
  /** The same wall time when the push was sent; `null` when the device did not say. */
  readonly sentAtMs: number | null;
  readonly serverNowMs: number;
}

/**
 * The time of a mutation in server time: `occurredAt + (serverNow − sentAt)`, never later than now and never
 * before
 * 1970. The device's own offset cancels out, so a clock ten years off gives the same result as a right one;
 * what remains is the network delay, which can only make the time later.
 */
export function correctOccurredAtMs({ occurredAtMs, sentAtMs, serverNowMs }: OccurredAtInput): number {
  const offsetMs = sentAtMs === null ? 0 : serverNowMs - sentAtMs;
  return Math.max(0, Math.min(occurredAtMs + offsetMs, serverNowMs));
}
