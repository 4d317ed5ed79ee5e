import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { Database } from '@sync/postgres';
import { ADMIN_PAGE_SIZE, USER_ID_PATTERN } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { PageQuery } from './admin-queries.ts';
import { decodeQuery } from './decode-query.ts';
import { DEFAULT_PAGE } from './fleet-controller.ts';
import { decodePosition, encodePosition } from './page-position.ts';
import { type PurgePosition, readHeldScopes, readMissingPurges } from './scopes-store.ts';

const USER_ID = new RegExp(USER_ID_PATTERN);

/** Who holds which scope, and which devices still hold one that they should not. */
@Controller('admin/v1')
export class ScopesController {
  private readonly database: Database;

  constructor(@Inject(Database) database: Database) {
    this.database = database;
  }

  @Get('scopes/:user')
  async scopes(
    @Param('user') userId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (!USER_ID.test(userId)) throw new ProblemError('not_found', `"${userId}" can be no user`);
    const { tenantId } = adminOf(request);
    const { cursor, limit = ADMIN_PAGE_SIZE } = decodeQuery(PageQuery, request.query);
    const [after = null] = cursor === undefined ? [] : decodePosition(cursor, 1);
    const found = await this.database.inTenant(tenantId, (tx) =>
      readHeldScopes(tx, { tenantId, userId }, after, limit + 1),
    );
    const grants = found.slice(0, limit);
    const last = grants.at(-1);
    const next = found.length > limit && last ? encodePosition([last.scope]) : null;
    await answerValue(reply, { userId, grants, next });
  }

  @Get('purges/missing')
  async missingPurges(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { tenantId } = adminOf(request);
    const { cursor, limit = DEFAULT_PAGE } = decodeQuery(PageQuery, request.query);
    const after = cursor === undefined ? null : (decodePosition(cursor, 3) as unknown as PurgePosition);
    const found = await this.database.inTenant(tenantId, (tx) =>
      readMissingPurges(tx, tenantId, after, limit + 1),
    );
    const missing = found.slice(0, limit);
    const last = missing.at(-1);
    const next =
      found.length > limit && last ? encodePosition([last.userId, last.deviceId, last.scope]) : null;
    await answerValue(reply, { missing, next });
  }
}
