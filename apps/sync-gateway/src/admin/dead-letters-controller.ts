import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import {
  AdminReplayBody,
  DeadLetterReplayReply,
  type DeadLetterReplayRequest,
  DeadLettersReply,
  type DeadLettersRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { actOf } from '../audit/admin-act.ts';
import { AuditLog } from '../audit/audit-log.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { DeadLettersQuery } from './admin-queries.ts';
import { AskApp } from './ask-app.ts';
import { decodeQuery } from './decode-query.ts';
import { DEFAULT_PAGE } from './fleet-controller.ts';

const PROJECTOR = 'delta-projector';
/** In a line of the audit log. */
const NAMED_LETTERS = 20;

const checkList = validator(DeadLettersReply);
const checkReplay = validator(DeadLetterReplayReply);
const checkBody = validator(AdminReplayBody);

/** Events that could not be projected: what they are, and another try. */
@Controller('admin/v1/dead-letters')
export class DeadLettersController {
  private readonly apps: AskApp;
  private readonly audit: AuditLog;

  constructor(@Inject(AskApp) apps: AskApp, @Inject(AuditLog) audit: AuditLog) {
    this.apps = apps;
    this.audit = audit;
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { cursor, limit, status, entityType } = decodeQuery(DeadLettersQuery, request.query);
    const question: DeadLettersRequest = {
      tenantId: adminOf(request).tenantId,
      cursor: cursor ?? null,
      limit: limit ?? DEFAULT_PAGE,
      ...(status ? { status } : {}),
      ...(entityType ? { entityType } : {}),
    };
    await answerValue(reply, await this.apps.ask(PROJECTOR, subjects.deadLetters, question, checkList));
  }

  @Post('replay')
  @HttpCode(200)
  async replayAll(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = request.body === undefined ? {} : decodeBody(request, checkBody);
    const { deadLetterIds, entityType, entityId } = body;
    const question = {
      tenantId: adminOf(request).tenantId,
      ...(deadLetterIds ? { deadLetterIds } : {}),
      ...(entityType ? { entityType } : {}),
      ...(entityId ? { entityId } : {}),
    };
    await answerValue(reply, await this.replay(request, question, () => undefined));
  }

  @Post(':id/replay')
  @HttpCode(200)
  async replayOne(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const question = { tenantId: adminOf(request).tenantId, deadLetterIds: [id] };
    const unknown = new ProblemError('not_found', `No dead letter "${id}" is known in this tenant`);
    if (!checkBody(question).ok) throw unknown;
    const replayed = await this.replay(request, question, ({ failed }) => {
      if (failed.some(({ code }) => code === 'not_found')) throw unknown;
    });
    await answerValue(reply, replayed);
  }

  /** @param check throws where the answer is none for whoever asked */
  private replay(
    request: FastifyRequest,
    question: DeadLetterReplayRequest,
    check: (reply: DeadLetterReplayReply) => void,
  ): Promise<DeadLetterReplayReply> {
    const ask = async (): Promise<DeadLetterReplayReply> => {
      const reply = await this.apps.ask(PROJECTOR, subjects.deadLetterReplay, question, checkReplay);
      check(reply);
      return reply;
    };
    const { deadLetterIds, entityType = null, entityId = null } = question;
    const asked = {
      ...{ entityType, entityId, letters: deadLetterIds?.length ?? null },
      deadLetterIds: deadLetterIds?.slice(0, NAMED_LETTERS) ?? null,
    };
    return this.audit.around(actOf(request), asked, ask, ({ replayed, failed, remaining }) => ({
      replayed,
      failed: failed.length,
      quarantined: remaining.quarantined,
    }));
  }
}
