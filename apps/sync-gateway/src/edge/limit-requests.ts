import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Logger, ProblemError, sendProblem } from '@sync/service-kit';

declare module 'fastify' {
  interface FastifyRequest {
    /** From the moment on in which the request is there as a whole. */
    limit: RequestLimit | null;
  }
}

/** How long a request may take. */
export class RequestLimit {
  readonly #onLate: () => void;
  readonly #untilMs: number;
  #timer: NodeJS.Timeout;

  constructor(limitMs: number, onLate: () => void) {
    this.#onLate = onLate;
    this.#untilMs = performance.now() + limitMs;
    this.#timer = setTimeout(onLate, limitMs);
  }

  /** It was asked to wait, and may take so much longer. */
  extend(byMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onLate, this.#untilMs + byMs - performance.now());
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * The last resort: whatever a request waits for below has a limit of its own, and a request that is not
 * answered all the same is answered 503 here. What it began goes on; asked again, it is found.
 */
export function limitRequests(app: NestFastifyApplication, limitMs: number, logger: Logger): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.decorateRequest('limit', null);
  fastify.addHook('preHandler', (request, reply, done) => {
    request.limit = new RequestLimit(limitMs, () => {
      if (reply.sent) return;
      const { id: requestId, routeOptions } = request;
      logger.error({ event: 'request_late', requestId, route: routeOptions.url }, 'a request took too long');
      sendProblem(
        reply,
        new ProblemError('unavailable', 'No answer in time; it may be carried out all the same'),
      );
    });
    done();
  });
  fastify.addHook('onResponse', (request, _reply, done) => {
    request.limit?.clear();
    done();
  });
}
