import type { ServerResponse } from 'node:http';

/** How slowly a client may read. */
export interface ReadingBounds {
  /** For an answer of no length, milliseconds. */
  readonly answerReadMs: number;
  /** A long answer has as much more time as it needs at this pace. */
  readonly leastBytesPerSecond: number;
}

/** A longer one would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Closes a connection whose client does not read its answer: until then the answer stays in memory.
 * @param bytes of the answer; null for a stream, which has as many as were taken when somebody looks
 * @param onSlow told when that happens
 */
export function boundReading(
  response: ServerResponse,
  bytes: number | null,
  { answerReadMs, leastBytesPerSecond }: ReadingBounds,
  onSlow: () => void,
): void {
  // Not the response's: behind another one of the same connection it has none yet.
  const { socket } = response.req;
  const startedAtMs = performance.now();
  const writtenBefore = socket.bytesWritten;
  const look = (): void => {
    const taken = bytes ?? socket.bytesWritten - writtenBefore;
    const untilMs = startedAtMs + answerReadMs + (taken / leastBytesPerSecond) * 1_000;
    const leftMs = untilMs - performance.now();
    if (leftMs > 0) {
      timer = setTimeout(look, Math.min(leftMs, MAX_TIMER_MS)).unref();
      return;
    }
    onSlow();
    socket.destroy();
  };
  let timer: NodeJS.Timeout | undefined;
  look();
  response.once('close', () => clearTimeout(timer));
}
