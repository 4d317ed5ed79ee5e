import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import { readOrigins } from './origins.ts';

/** What a device sends besides what every page may (Fetch Standard, CORS-safelisted request-header). */
const REQUEST_HEADERS = [
  ...['authorization', 'content-digest', 'content-encoding', 'content-type'],
  ...['signature', 'signature-input', 'traceparent', 'tracestate', 'x-request-id'],
];
/** Without `Date` a page cannot correct its clock, without `Retry-After` it comes back too soon. */
const ANSWER_HEADERS = ['date', 'retry-after', 'x-request-id'];
/** What Chromium caps it to. */
const PREFLIGHT_LIFETIME_SECONDS = 7_200;

/**
 * Lets pages of other origins read the answers of device routes (CORS protocol of the Fetch Standard). Nobody
 * is let in by it: there are no cookies, and a token and a signature are asked for as of anybody else.
 *
 * @param origins as {@link readOrigins} reads them; where there are none, no page of another origin reads
 */
export function allowOrigins(app: NestFastifyApplication, origins: string): void {
  const allowed = readOrigins(origins);
  if (allowed.length === 0) return;
  app.enableCors({
    delegator: (request: FastifyRequest, done: (error: null, options: object) => void) => {
      const { origin } = request.headers;
      const isAllowed = origin !== undefined && allowed.some((one) => one.test(origin));
      const isForDevices = request.url.startsWith('/sync/v1/');
      // An OPTIONS that is no preflight is answered like any other method that a route does not have.
      const isRead = request.method !== 'OPTIONS' || 'access-control-request-method' in request.headers;
      done(null, {
        origin: isAllowed && isForDevices && isRead ? origin : false,
        methods: ['GET', 'POST'],
        allowedHeaders: REQUEST_HEADERS,
        exposedHeaders: ANSWER_HEADERS,
        maxAge: PREFLIGHT_LIFETIME_SECONDS,
      });
    },
  });
  // A preflight was answered by the plugin. It has a route for all others, which would wait for their bodies.
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (request.method === 'OPTIONS') done(new ProblemError('not_found', 'No such path or method'));
    else done();
  });
}
