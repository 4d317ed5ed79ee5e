import { Controller, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { RequestSuggestion } from './request-suggestion.ts';

const ACCEPTED = 202;

/** `POST /sync/v1/conflicts/{id}/suggestions`; a body is not needed, one that comes is ignored. */
@Controller('sync/v1/conflicts')
export class SuggestionsController {
  readonly #requestSuggestion: RequestSuggestion;

  constructor(@Inject(RequestSuggestion) requestSuggestion: RequestSuggestion) {
    this.#requestSuggestion = requestSuggestion;
  }

  @Post(':id/suggestions')
  async ask(
    @Param('id') conflictId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const suggestion = await this.#requestSuggestion.ask(callerOf(request), conflictId);
    void answerValue(reply, { suggestion }, ACCEPTED);
  }
}
