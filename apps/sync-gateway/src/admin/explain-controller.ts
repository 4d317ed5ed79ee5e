import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { ExplainQuery } from './admin-queries.ts';
import { decodeQuery } from './decode-query.ts';
import { ExplainEntity } from './explain-entity.ts';

/** `GET /admin/v1/explain?device=&entity=<type>/<id>` */
@Controller('admin/v1/explain')
export class ExplainController {
  private readonly explainEntity: ExplainEntity;

  constructor(@Inject(ExplainEntity) explainEntity: ExplainEntity) {
    this.explainEntity = explainEntity;
  }

  @Get()
  async explain(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { device: deviceId, entity } = decodeQuery(ExplainQuery, request.query);
    const [entityType = '', entityId = ''] = entity.split('/');
    const { tenantId } = adminOf(request);
    const explanation = await this.explainEntity.execute({ tenantId, deviceId, entityType, entityId });
    await answerValue(reply, { deviceId, entityType, entityId, ...explanation });
  }
}
