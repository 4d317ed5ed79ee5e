import { LIMITS } from '@sync/protocol';
import type { Logger, TokenClaims } from '@sync/service-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { SignedFields } from '../access/authenticate-device.ts';
import type { Caller } from '../access/caller.ts';
import { bodyLimitsOf } from './body-limits.ts';
import { checkParameters } from './check-parameters.ts';
import { compressAnswer } from './compress-answer.ts';
import { limitRequests } from './limit-requests.ts';
import { rawBodyOf, readJsonBody } from './read-json-body.ts';
import type { UnprovenConnections } from './unproven-connections.ts';

export interface EdgeOptions {
  /** For a request as a whole, besides the time for which it was asked to wait. */
  readonly limitMs: number;
  readonly logger: Logger;
  readonly connections: UnprovenConnections;
  /** @throws ProblemError when token, signature or device binding do not hold */
  readonly authenticateDevice: (request: FastifyRequest) => Promise<SignedFields>;
  /** @throws ProblemError when the body is not the signed one, or its device was revoked while it came */
  readonly verifyBody: (signed: SignedFields, rawBody: Buffer) => Promise<Caller>;
  /** @throws ProblemError `unauthenticated` or `forbidden` */
  readonly authenticateAdmin: (request: FastifyRequest) => Promise<TokenClaims>;
}

/**
 * What happens to every request before its controller: the caller is authenticated by the fields, then the
 * bytes of the body are taken as they are (Fastify bounds them while reading, see `BODY_LIMITS`), compared
 * with the digest that was signed, and only then inflated and parsed. A stranger's body is never waited for.
 *
 * It sits on the routes' prefixes and not on decorators, so a new route cannot be open by omission.
 */
export function installEdge(app: NestFastifyApplication, options: EdgeOptions): void {
  const fastify = app.getHttpAdapter().getInstance();
  limitRequests(app, options.limitMs, options.logger);
  const { connections } = options;
  connections.watch(app.getHttpServer());
  fastify.decorateRequest('signed', null);
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
  fastify.addHook('onRequest', async (request) => {
    const route = request.routeOptions.url ?? '';
    if (route.startsWith('/sync/v1/')) request.signed = await options.authenticateDevice(request);
    else if (route.startsWith('/admin/')) request.admin = await options.authenticateAdmin(request);
    if (!request.signed && !request.admin) return;
    connections.prove(request.raw.socket);
    checkParameters(request);
  });
  fastify.addHook('preHandler', async (request) => {
    if (request.signed) request.caller = await options.verifyBody(request.signed, rawBodyOf(request));
    if (request.signed || request.admin) await readJsonBody(request);
  });
  fastify.addHook('onSend', compressAnswer);
}
