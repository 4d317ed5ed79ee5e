import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';

/**
 * A request's place is free again when its handler has ended: not when its client has gone, for whom the work
 * goes on, nor when the client has read the answer, which may take him as long as he likes.
 */
export function leaveAfterHandler(handler: RouteHandlerMethod): RouteHandlerMethod {
  return async function leaving(
    this: FastifyInstance,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const { work } = request;
    if (!work) return handler.call(this, request, reply);
    work.handled = true;
    try {
      return await handler.call(this, request, reply);
    } finally {
      work.leave();
    }
  };
}
