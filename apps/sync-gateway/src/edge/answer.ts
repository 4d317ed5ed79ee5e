import type { FastifyReply } from 'fastify';

/** Sends JSON text that is already complete; `serverTime` is inside it. */
export function answerText(reply: FastifyReply, json: string, status = 200): FastifyReply {
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(json);
}

/** Sends a value as JSON with `serverTime` as its first member. */
export function answerValue(reply: FastifyReply, value: object, status = 200): FastifyReply {
  return answerText(reply, JSON.stringify({ serverTime: new Date().toISOString(), ...value }), status);
}
