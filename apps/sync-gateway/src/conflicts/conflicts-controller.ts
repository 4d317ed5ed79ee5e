import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { findUnstorable, ResolveConflictRequest, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { decodeQuery } from '../admin/decode-query.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { AskConflicts } from './ask-conflicts.ts';
import { checkResolution } from './check-resolution.ts';
import { OwnConflicts } from './own-conflicts.ts';
import { OwnConflictsQuery } from './conflict-queries.ts';
import { ResolveConflict } from './resolve-conflict.ts';

const DEFAULT_PAGE = 50;

const checkResolve = validator(ResolveConflictRequest);

/** A user's own conflicts, and their resolution. */
@Controller('sync/v1')
export class ConflictsController {
  private readonly conflicts: AskConflicts;
  private readonly ownConflicts: OwnConflicts;
  private readonly resolveConflict: ResolveConflict;

  constructor(
    @Inject(AskConflicts) conflicts: AskConflicts,
    @Inject(OwnConflicts) ownConflicts: OwnConflicts,
    @Inject(ResolveConflict) resolveConflict: ResolveConflict,
  ) {
    this.conflicts = conflicts;
    this.ownConflicts = ownConflicts;
    this.resolveConflict = resolveConflict;
  }

  @Get('conflicts')
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { tenantId, userId } = callerOf(request);
    const { cursor = null, limit = DEFAULT_PAGE, ...filters } = decodeQuery(OwnConflictsQuery, request.query);
    const { status, entityType } = filters;
    const page = await this.conflicts.list({
      ...{ tenantId, userId, cursor, limit },
      ...(status ? { status } : {}),
      ...(entityType ? { entityType } : {}),
    });
    await answerValue(reply, page);
  }

  @Get('conflicts/:id')
  async show(
    @Param('id') conflictId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { conflict } = await this.ownConflicts.show(callerOf(request), conflictId);
    await answerValue(reply, { conflict });
  }

  @Post('resolve-conflict')
  @HttpCode(200)
  async resolve(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const body = decodeBody(request, checkResolve);
    checkResolution(body.resolution);
    const unstorable = request.bodySuspicious ? findUnstorable(body) : null;
    if (unstorable)
      throw new ProblemError('schema_invalid', `${unstorable.path}: ${unstorable.message}`, {
        errors: [unstorable],
      });
    await answerValue(reply, { conflict: await this.resolveConflict.execute(caller, body) });
  }
}
