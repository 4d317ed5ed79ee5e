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
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { DeadLettersQuery } from './admin-queries.ts';
import { AskApp } from './ask-app.ts';
import { decodeQuery } from './decode-query.ts';
import { DEFAULT_PAGE } from './fleet-controller.ts';

const PROJECTOR = 'delta-projector';

const checkList = validator(DeadLettersReply);
const checkReplay = validator(DeadLetterReplayReply);
const checkBody = validator(AdminReplayBody);

/** Events that could not be projected: what they are, and another try. */
@Controller('admin/v1/dead-letters')
export class DeadLettersController {
  private readonly apps: AskApp;

  constructor(@Inject(AskApp) apps: AskApp) {
    this.apps = apps;
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
    const replayed = await this.replay({
      tenantId: adminOf(request).tenantId,
      ...(deadLetterIds ? { deadLetterIds } : {}),
      ...(entityType ? { entityType } : {}),
      ...(entityId ? { entityId } : {}),
    });
    await answerValue(reply, replayed);
  }

  @Post(':id/replay')
  @HttpCode(200)
  async replayOne(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const question = { tenantId: adminOf(request).tenantId, deadLetterIds: [id] };
    const known = checkBody(question).ok ? await this.replay(question) : null;
    if (!known || known.failed.some(({ code }) => code === 'not_found')) {
      throw new ProblemError('not_found', `No dead letter "${id}" is known in this tenant`);
    }
    await answerValue(reply, known);
  }

  private replay(question: DeadLetterReplayRequest): Promise<DeadLetterReplayReply> {
    return this.apps.ask(PROJECTOR, subjects.deadLetterReplay, question, checkReplay);
  }
}
