import { storableJson } from '@sync/domain';
import type { FastifyReply } from 'fastify';

/** Sends JSON text that is already complete; `serverTime` is inside it. */
export function answerText(reply: FastifyReply, json: string | Buffer, status = 200): FastifyReply {
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(json);
}

/** Below it, one text is cheaper. */
const MIN_BUFFER_LENGTH = 32_768;

/**
 * Sends JSON text that is complete when its pieces are put together. A long one is put together as bytes: as
 * a text, V8 would copy it once to make it one, and once more to encode it.
 */
export function answerPieces(reply: FastifyReply, pieces: readonly string[], status = 200): FastifyReply {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return answerText(reply, length < MIN_BUFFER_LENGTH ? pieces.join('') : bytesOf(pieces), status);
}

function bytesOf(pieces: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafeSlow(pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0));
  let at = 0;
  for (const piece of pieces) at += bytes.write(piece, at);
  return bytes;
}

/** Sends a value as JSON with `serverTime` as its first member. */
export function answerValue(reply: FastifyReply, value: object, status = 200): FastifyReply {
  return answerText(reply, storableJson({ serverTime: new Date().toISOString(), ...value }), status);
}
