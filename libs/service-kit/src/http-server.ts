import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ProblemError } from './problem-error.ts';
import { endWithProblem, problemOfClientError } from './socket-problem.ts';

/** How long a request may take to arrive, and how many connections there may be. */
export interface HttpBounds {
  /** From the opening of the connection, or the end of the request before. */
  readonly headersArrivalMs: number;
  /** Of the whole request, its body included. */
  readonly requestArrivalMs: number;
  readonly maxConnections: number;
}

export const HTTP_BOUNDS: HttpBounds = {
  headersArrivalMs: 10_000,
  requestArrivalMs: 60_000,
  maxConnections: 100_000,
};

/** Of the request line and all fields; Node refuses more. */
const MAX_HEADER_BYTES = 16_384;
/** How often Node looks for requests that are late; it looks at no single one. */
const LATEST_LOOK_MS = 1_000;
/**
 * Who was answered before his body had arrived may send it to its end, because a client that is still writing
 * would not see the answer. A hostile one never ends.
 */
const LINGER_MS = 5_000;

/** Node's own settings, for the options of Fastify. */
export function httpServerOptions(bounds: HttpBounds): {
  readonly requestTimeout: number;
  readonly clientErrorHandler: (error: NodeJS.ErrnoException, socket: Duplex) => void;
  readonly http: object;
} {
  const { headersArrivalMs, requestArrivalMs } = bounds;
  return {
    requestTimeout: requestArrivalMs,
    clientErrorHandler: (error, socket) => endWithProblem(socket, problemOfClientError(error)),
    http: {
      headersTimeout: Math.min(headersArrivalMs, requestArrivalMs),
      connectionsCheckingInterval: Math.min(LATEST_LOOK_MS, headersArrivalMs, requestArrivalMs),
      maxHeaderSize: MAX_HEADER_BYTES,
      // Node would refuse it with an answer of its own.
      requireHostHeader: false,
    },
  };
}

/** What Node and Fastify answer by themselves, or do not bound, before the app listens. */
export function boundHttp(app: NestFastifyApplication, bounds: HttpBounds): void {
  const server: Server = app.getHttpServer();
  server.maxConnections = bounds.maxConnections;
  // An expectation that nobody knows may be ignored (RFC 9110, 10.1.1); Node would answer without a body.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.emit('request', request, response),
  );
  // Without a listener Node closes the connection without a word.
  server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    endWithProblem(socket, new ProblemError('method_not_allowed', 'CONNECT is not for servers')),
  );
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { httpVersion, headers } = request.raw;
    if (httpVersion === '1.1' && headers.host === undefined)
      done(new ProblemError('malformed_request', 'The field Host is missing'));
    else if (request.is404) done(new ProblemError('not_found', 'No such path or method'));
    else done();
  });
  fastify.addHook('onResponse', (request, _reply, done) => {
    const { raw } = request;
    if (!raw.complete) setTimeout(() => raw.complete || raw.socket.destroy(), LINGER_MS).unref();
    done();
  });
}
