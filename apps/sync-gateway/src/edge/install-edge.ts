import { LIMITS } from '@sync/protocol';
import { type Logger, ProblemError, sendProblem, type TokenClaims } from '@sync/service-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SignedFields } from '../access/authenticate-device.ts';
import type { Caller } from '../access/caller.ts';
import type { AdmitRequests, Who } from '../fairness/admit-requests.ts';
import { boundReading, type ReadingBounds } from '../fairness/bound-reading.ts';
import { leaveAfterHandler } from '../fairness/leave-after-handler.ts';
import { announcedBytes, bodyLimitsOf } from './body-limits.ts';
import { checkParameters } from './check-parameters.ts';
import { compressAnswer } from './compress-answer.ts';
import { limitRequests } from './limit-requests.ts';
import { rawBodyOf, readJsonBody } from './read-json-body.ts';
import type { UnprovenConnections } from './unproven-connections.ts';

export interface EdgeOptions {
  /** For a request as a whole, besides the time for which it was asked to wait. */
  readonly limitMs: number;
  readonly reading: ReadingBounds;
  readonly logger: Logger;
  readonly connections: UnprovenConnections;
  readonly admission: AdmitRequests;
  /** Told when a connection is closed because its client does not read. */
  readonly onSlowReader: () => void;
  /** @throws ProblemError when token, signature or device binding do not hold */
  readonly authenticateDevice: (request: FastifyRequest) => Promise<SignedFields>;
  /** @throws ProblemError when the body is not the signed one, or its device was revoked while it came */
  readonly verifyBody: (signed: SignedFields, rawBody: Buffer) => Promise<Caller>;
  /** @throws ProblemError `unauthenticated` or `forbidden` */
  readonly authenticateAdmin: (request: FastifyRequest) => Promise<TokenClaims>;
}

/**
 * What happens to every request before its controller: the caller is authenticated by the fields, and refused
 * when it is not his turn; then the bytes of the body are taken as they are (Fastify bounds them while
 * reading, see `BODY_LIMITS`), compared with the digest that was signed, and, when the request has a place,
 * inflated and parsed. A stranger's body is never waited for.
 *
 * It sits on the routes' prefixes and not on decorators, so a new route cannot be open by omission.
 */
export function installEdge(app: NestFastifyApplication, options: EdgeOptions): void {
  const fastify = app.getHttpAdapter().getInstance();
  limitRequests(app, options.limitMs, options.logger);
  const { connections, admission } = options;
  connections.watch(app.getHttpServer());
  for (const field of ['signed', 'caller', 'admin', 'work']) fastify.decorateRequest(field, null);
  fastify.decorateRequest('bodySuspicious', false);
  fastify.addHook('onRoute', (route) => {
    route.bodyLimit = bodyLimitsOf(route.url).sentBytes;
    route.handler = leaveAfterHandler(route.handler);
  });
  fastify.removeAllContentTypeParsers();
  app.useBodyParser('*', { bodyLimit: LIMITS.bodyCompressedBytes }, (_request, body, done) =>
    done(null, body),
  );
  fastify.addHook('onRequest', async (request, reply) => {
    const route = request.routeOptions.url ?? '';
    if (route.startsWith('/sync/v1/')) request.signed = await options.authenticateDevice(request);
    else if (route.startsWith('/admin/')) request.admin = await options.authenticateAdmin(request);
    const who = whoSends(request);
    if (!who) return undefined;
    connections.prove(request.raw.socket);
    return unlessRefused(reply, () => {
      request.work = admission.arrive(request, who);
      checkParameters(request);
    });
  });
  fastify.addHook('preHandler', async (request, reply) => {
    const { work } = request;
    if (!work) return undefined;
    const rawBody = rawBodyOf(request);
    work.count({ bodyKib: (rawBody.length - announcedBytes(request)) / 1_024 });
    if (request.signed) request.caller = await options.verifyBody(request.signed, rawBody);
    // It may have taken so long that the last resort has answered.
    if (reply.sent) return undefined;
    return unlessRefused(reply, async () => {
      await work.enter(rawBody.length, reply.raw);
      reply.raw.once('close', () => work.handled || work.leave());
      await readJsonBody(request, work);
    });
  });
  fastify.addHook('onSend', async (request, reply, payload: unknown) => {
    const bytes = lengthOf(payload);
    request.work?.count({ answerKib: (bytes ?? 0) / 1_024 });
    boundReading(reply.raw, bytes, options.reading, options.onSlowReader);
    return compressAnswer(request, reply, payload);
  });
}

function whoSends({ signed, admin }: FastifyRequest): Who | null {
  if (signed) return signed.caller;
  return admin && { tenantId: admin.tenantId, userId: admin.userId, deviceId: null };
}

/**
 * Answers at once whoever is told to come back: a flood of refusals is no fault that each deserves a line in
 * the log. @returns the reply, which tells Fastify that the request is answered
 */
async function unlessRefused(
  reply: FastifyReply,
  admit: () => void | Promise<void>,
): Promise<FastifyReply | undefined> {
  try {
    await admit();
    return undefined;
  } catch (error) {
    reply.request.work?.leave();
    const comesBack = error instanceof ProblemError && (error.status === 429 || error.status === 503);
    if (!comesBack) throw error;
    if (!reply.sent) sendProblem(reply, error);
    return reply;
  }
}

/** null for a stream. */
function lengthOf(payload: unknown): number | null {
  if (payload === null || payload === undefined) return 0;
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : null;
}
