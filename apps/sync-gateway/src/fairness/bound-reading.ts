import type { FastifyReply } from 'fastify';

/** Whoever reads slower than this is as good as gone; a phone on a bad line is faster. */
const LEAST_BYTES_PER_SECOND = 8_192;

/**
 * Closes a connection whose client does not read its answer: until then the answer stays in memory.
 * @param bytes of the answer
 * @param limitMs for an answer of no length; a long one has as much more as it needs at 8 KiB a second
 * @param onSlow told when that happens
 */
export function boundReading(reply: FastifyReply, bytes: number, limitMs: number, onSlow: () => void): void {
  const { raw } = reply;
  const timer = setTimeout(
    () => {
      onSlow();
      raw.destroy();
    },
    limitMs + (bytes / LEAST_BYTES_PER_SECOND) * 1_000,
  ).unref();
  raw.once('close', () => clearTimeout(timer));
}
