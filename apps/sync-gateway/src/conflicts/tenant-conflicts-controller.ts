import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { PageQuery } from '../admin/admin-queries.ts';
import { decodeQuery } from '../admin/decode-query.ts';
import { DEFAULT_PAGE } from '../admin/fleet-controller.ts';
import { answerValue } from '../edge/answer.ts';
import { AskConflicts } from './ask-conflicts.ts';
import { TenantConflictsQuery } from './conflict-queries.ts';

/**
 * ConflictRecords across the users of the tenant, for reviewers; resolving is for the people whose conflicts
 * they are.
 */
@Controller('admin/v1/conflicts')
export class TenantConflictsController {
  private readonly conflicts: AskConflicts;

  constructor(@Inject(AskConflicts) conflicts: AskConflicts) {
    this.conflicts = conflicts;
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { tenantId } = adminOf(request);
    const query = decodeQuery(TenantConflictsQuery, request.query);
    const {
      cursor = null,
      limit = DEFAULT_PAGE,
      status,
      policy,
      user,
      entityType,
      entityId,
      from,
      to,
    } = query;
    const page = await this.conflicts.list({
      ...{ tenantId, cursor, limit },
      ...(status ? { status } : {}),
      ...(policy ? { policy } : {}),
      ...(user ? { userId: user } : {}),
      ...(entityType ? { entityType } : {}),
      ...(entityId ? { entityId } : {}),
      ...(from ? { from } : {}),
      ...(to ? { to } : {}),
    });
    await answerValue(reply, page);
  }

  @Get('verify')
  async verify(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await answerValue(reply, await this.conflicts.verify(pageOf(request)));
  }

  @Get(':id')
  async show(
    @Param('id') conflictId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { tenantId } = adminOf(request);
    await answerValue(reply, await this.conflicts.show({ tenantId, conflictId }));
  }

  @Get(':id/history')
  async history(
    @Param('id') conflictId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await answerValue(reply, await this.conflicts.history({ ...pageOf(request), conflictId }));
  }
}

function pageOf(request: FastifyRequest): { tenantId: string; cursor: string | null; limit: number } {
  const { cursor = null, limit = DEFAULT_PAGE } = decodeQuery(PageQuery, request.query);
  return { tenantId: adminOf(request).tenantId, cursor, limit };
}
