import { storableJson } from '@sync/domain';
import { type Logger, ProblemError } from '@sync/service-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AdminAct } from './admin-act.ts';
import type { Refusals } from './refusals.ts';

/**
 * Looks at every answer under `/admin/` before it is sent. Whoever is refused, by whichever part, gets a line;
 * and no change is answered as done that has none: an operation that forgets the log fails its first test.
 * Answers to strangers are not looked at: nobody is named in them.
 */
export function installAudit(
  app: NestFastifyApplication,
  refusals: Pick<Refusals, 'note'>,
  logger: Logger,
): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.decorateRequest('act', null);
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const { act } = request;
    if (act === null || act.isRecorded) {
      done(null, payload);
    } else if (reply.statusCode < 400) {
      done(null, act.changes ? withoutLine(request, reply, logger) : payload);
    } else if (reply.statusCode < 500) {
      void refuse(act, reply, refusals).finally(() => done(null, payload));
    } else {
      done(null, payload);
    }
  });
}

async function refuse(act: AdminAct, reply: FastifyReply, refusals: Pick<Refusals, 'note'>): Promise<void> {
  act.recorded();
  const code = reply.problemCode ?? String(reply.statusCode);
  await refusals.note({ chain: act.chain, draft: act.draft('refused', { code }) });
}

function withoutLine(request: FastifyRequest, reply: FastifyReply, logger: Logger): string {
  const { id: requestId, routeOptions } = request;
  logger.error({ requestId, route: routeOptions.url }, 'a change has no line in the audit log');
  const problem = new ProblemError('internal', 'A change was not written into the audit log');
  void reply.code(problem.status).header('content-type', 'application/problem+json');
  return storableJson(problem.toBody(Date.now()));
}
