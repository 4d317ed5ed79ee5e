import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { CHAIN_START, Database, readInOrder } from '@sync/postgres';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { isTimestamp, PageQuery } from '../admin/admin-queries.ts';
import { decodeQuery } from '../admin/decode-query.ts';
import { DEFAULT_PAGE } from '../admin/fleet-controller.ts';
import { decodePosition, encodePosition } from '../admin/page-position.ts';
import { answerValue } from '../edge/answer.ts';
import { entryOf } from './audit-entry.ts';
import { AuditExportQuery, AuditQuery, POSITION } from './audit-queries.ts';
import { type AuditPlace, listEntries } from './audit-store.ts';
import { ExportAudit } from './export-audit.ts';
import { verifyPage } from './verify-audit.ts';

/** The log of the token's tenant; operators' tenant is the platform. */
@Controller('admin/v1/audit')
export class AuditController {
  private readonly database: Database;
  private readonly exports: ExportAudit;

  constructor(@Inject(Database) database: Database, @Inject(ExportAudit) exports: ExportAudit) {
    this.database = database;
    this.exports = exports;
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { tenantId } = adminOf(request);
    const { cursor, limit = DEFAULT_PAGE, ...filter } = decodeQuery(AuditQuery, request.query);
    const after = cursor === undefined ? null : placeOf(cursor);
    const { rows, next } = await this.database.inTenant(tenantId, async (tx) => {
      await readInOrder(tx);
      return listEntries(tx, tenantId, filter, after, limit);
    });
    const entries = rows.map(entryOf);
    await answerValue(reply, { entries, next: next && encodePosition([next.at, next.position]) });
  }

  @Get('verify')
  async verify(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { tenantId } = adminOf(request);
    const { cursor, limit = DEFAULT_PAGE } = decodeQuery(PageQuery, request.query);
    const after = cursor === undefined ? CHAIN_START.position : positionOf(cursor);
    const { checked, broken, end, hasMore } = await this.database.inTenant(tenantId, (tx) =>
      verifyPage(tx, tenantId, after, limit),
    );
    const next = hasMore ? encodePosition([end.position]) : null;
    await answerValue(reply, { checked, broken, hash: end.hash === '' ? null : end.hash, next });
  }

  @Get('export')
  async export(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { after = CHAIN_START.position } = decodeQuery(AuditExportQuery, request.query);
    const stream = await this.exports.start(adminOf(request).tenantId, after, (bytes) =>
      request.work?.count({ answerKib: bytes / 1_024 }),
    );
    if (reply.sent) {
      // The last resort has answered. Nobody reads the stream, so it would count as running for ever.
      stream.destroy();
      return;
    }
    // It may take as long as its reader; who takes nothing is cut off.
    request.limit?.clear();
    void reply.header('content-type', 'application/x-ndjson').send(stream);
  }
}

function placeOf(cursor: string): AuditPlace {
  const [at = '', position = ''] = decodePosition(cursor, 2);
  if (!isTimestamp(at) || !POSITION.test(position)) throw notOfThisList();
  return { at, position };
}

function positionOf(cursor: string): string {
  const [position = ''] = decodePosition(cursor, 1);
  if (!POSITION.test(position)) throw notOfThisList();
  return position;
}

function notOfThisList(): ProblemError {
  const fault = { path: '/cursor', message: 'not a cursor of this list' };
  return new ProblemError('schema_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
}
