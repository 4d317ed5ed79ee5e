import type { ServerResponse } from 'node:http';

/** How slowly a client may read. */
export interface ReadingBounds {
  /** For an answer of no length, milliseconds. */
  readonly answerReadMs: number;
  /** A long answer has as much more time as it needs at this pace. */
  readonly leastBytesPerSecond: number;
}

/**
 * Closes a connection whose client does not read its answer: until then the answer stays in memory.
 * @param bytes of the answer
 * @param onSlow told when that happens
 */
export function boundReading(
  response: ServerResponse,
  bytes: number,
  { answerReadMs, leastBytesPerSecond }: ReadingBounds,
  onSlow: () => void,
): void {
  const limitMs = answerReadMs + (bytes / leastBytesPerSecond) * 1_000;
  const giveUp = (): void => {
    onSlow();
    // Not the response: behind another one of the same connection it has none yet.
    response.req.socket.destroy();
  };
  const timer = setTimeout(giveUp, limitMs).unref();
  response.once('close', () => clearTimeout(timer));
}
