import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { Tickets } from './tickets.ts';

/** `POST /sync/v1/tickets`; a body is not needed, one that comes is ignored. */
@Controller('sync/v1')
export class TicketsController {
  readonly #tickets: Tickets;

  constructor(@Inject(Tickets) tickets: Tickets) {
    this.#tickets = tickets;
  }

  @Post('tickets')
  async issue(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    void answerValue(reply, await this.#tickets.issue(callerOf(request), request.signed?.signature ?? ''));
  }
}
