import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { storableJson } from '@sync/domain';
import { isPassing, isUnavailable } from '@sync/postgres';
import type { ProblemCode } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from './logger.ts';
import { ProblemError } from './problem-error.ts';

declare module 'fastify' {
  interface FastifyReply {
    /** Of the problem document that it is answered with. */
    problemCode?: ProblemCode;
  }
}

const CODE_OF_STATUS: Readonly<Record<number, ProblemCode>> = {
  400: 'schema_invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
  429: 'rate_limited',
  503: 'unavailable',
};

const CODE_OF_FASTIFY: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
};

/** What the NATS client throws when its server, or whoever was asked, does not answer; it has no codes. */
const NATS_AWAY: ReadonlySet<string> = new Set([
  'TimeoutError',
  'NoResponders',
  'RequestError',
  'ConnectionError',
  'ClosedConnectionError',
  'DrainingConnectionError',
]);

/** Where the pause before the next try is not known: seconds that a restart, or a lock, may well take. */
const RETRY_AFTER = '2';

/**
 * Answers every error as RFC 9457 problem+json. What is not expected is logged with its cause and hidden from
 * the caller.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    const request = http.getRequest<FastifyRequest>();
    const known = toProblem(error);
    if (known.status >= 500) {
      this.logger.error(
        { err: error, requestId: request.id, route: request.url.split('?')[0] },
        known.message,
      );
    }
    if (reply.sent) return;
    sendProblem(reply, known);
  }
}

/** Answers with a problem document; whoever is told to come back is told when. */
export function sendProblem(reply: FastifyReply, known: ProblemError): void {
  reply.problemCode = known.code;
  const comesBack = known.status === 429 || known.status === 503;
  void reply
    .code(known.status)
    .headers({
      'content-type': 'application/problem+json',
      ...(comesBack ? { 'retry-after': RETRY_AFTER } : {}),
      ...known.options.headers,
    })
    .send(storableJson(known.toBody(Date.now())));
}

/** Maps any thrown value to the closed list of problem codes. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof HttpException) {
    // Nest wraps what Fastify's body parser says; the precise code is in the cause.
    const precise =
      CODE_OF_FASTIFY[codeOf(error.cause)] ?? (isSyntaxError(error.cause) ? 'malformed_json' : undefined);
    if (precise) return new ProblemError(precise, error.message, { cause: error });
    return new ProblemError(CODE_OF_STATUS[error.getStatus()] ?? 'internal', error.message, { cause: error });
  }
  const code = codeOf(error);
  const fastifyCode = CODE_OF_FASTIFY[code];
  if (fastifyCode) return new ProblemError(fastifyCode, messageOf(error), { cause: error });
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  const clientCode = typeof status === 'number' && status < 500 ? CODE_OF_STATUS[status] : undefined;
  if (clientCode) return new ProblemError(clientCode, messageOf(error), { cause: error });
  if (isUnavailable(error) || isPassing(error) || NATS_AWAY.has(nameOf(error))) {
    return new ProblemError('unavailable', 'A part that this request needs is not available', {
      cause: error,
    });
  }
  return new ProblemError('internal', 'An unexpected fault; it was logged with the request id', {
    cause: error,
  });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function isSyntaxError(error: unknown): boolean {
  return (error as { name?: unknown } | null | undefined)?.name === 'SyntaxError';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'The request cannot be read';
}
