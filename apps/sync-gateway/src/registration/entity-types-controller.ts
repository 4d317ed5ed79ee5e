import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { entityTypeInfos } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { Registry } from './registry.ts';

/** `GET /sync/v1/entity-types`: what a device can write, and how (PUSH-25). */
@Controller('sync/v1')
export class EntityTypesController {
  readonly #registry: Registry;

  constructor(@Inject(Registry) registry: Registry) {
    this.#registry = registry;
  }

  @Get('entity-types')
  list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    // Refuses whoever is no device; which one it is makes no difference.
    callerOf(request);
    const types = this.#registry.services.flatMap(({ entityTypes }) => entityTypes);
    void answerValue(reply, { entityTypes: entityTypeInfos(types) });
  }
}
