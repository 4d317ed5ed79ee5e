import { LIMITS } from '@sync/protocol';
import type { Logger, TokenClaims } from '@sync/service-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { bodyLimitsOf } from './body-limits.ts';
import { compressAnswer } from './compress-answer.ts';
import { limitRequests } from './limit-requests.ts';
import { rawBodyOf, readJsonBody } from './read-json-body.ts';

export interface EdgeOptions {
  /** For a request as a whole, besides the time for which it was asked to wait. */
  readonly limitMs: number;
  readonly logger: Logger;
  /** @throws ProblemError when token, signature or device binding do not hold */
  readonly authenticateDevice: (request: FastifyRequest, rawBody: Buffer) => Promise<Caller>;
  /** @throws ProblemError `unauthenticated` or `forbidden` */
  readonly authenticateAdmin: (request: FastifyRequest) => Promise<TokenClaims>;
}

/**
 * What happens to every request before its controller: the bytes are taken as they are (Fastify bounds them
 * while reading, see `BODY_LIMITS`), the caller is authenticated over these bytes, and only then are they inflated and
 * parsed. A stranger's body is never decoded.
 *
 * It sits on the routes' prefixes and not on decorators, so a new route cannot be open by omission.
 */
export function installEdge(app: NestFastifyApplication, options: EdgeOptions): void {
  const fastify = app.getHttpAdapter().getInstance();
  limitRequests(app, options.limitMs, options.logger);
  fastify.decorateRequest('caller', null);
  fastify.decorateRequest('admin', null);
  fastify.decorateRequest('bodySuspicious', false);
  fastify.addHook('onRoute', (route) => {
    route.bodyLimit = bodyLimitsOf(route.url).sentBytes;
  });
  fastify.removeAllContentTypeParsers();
  app.useBodyParser('*', { bodyLimit: LIMITS.bodyCompressedBytes }, (_request, body, done) =>
    done(null, body),
  );
  fastify.addHook('preHandler', async (request) => {
    const route = request.routeOptions.url ?? '';
    if (route.startsWith('/sync/v1/')) {
      request.caller = await options.authenticateDevice(request, rawBodyOf(request));
    } else if (route.startsWith('/admin/')) {
      request.admin = await options.authenticateAdmin(request);
    } else {
      return;
    }
    await readJsonBody(request);
  });
  fastify.addHook('onSend', compressAnswer);
}
