import { Controller, Get, Inject, Put, Req, Res } from '@nestjs/common';
import { SuggestionSettings, SuggestionSettingsReply, subjects, validator } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { AskApp } from '../admin/ask-app.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';

const checkSettings = validator(SuggestionSettings);
const checkReply = validator(SuggestionSettingsReply);

/**
 * `/admin/v1/suggestions`: whether the administrator's tenant has suggestions, their budgets, and what never
 * leaves.
 */
@Controller('admin/v1/suggestions')
export class SuggestionSettingsController {
  readonly #apps: AskApp;

  constructor(@Inject(AskApp) apps: AskApp) {
    this.#apps = apps;
  }

  @Get()
  async show(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.#answer(request, reply, {});
  }

  @Put()
  async put(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.#answer(request, reply, { settings: decodeBody(request, checkSettings) });
  }

  async #answer(
    request: FastifyRequest,
    reply: FastifyReply,
    changes: { readonly settings?: SuggestionSettings },
  ): Promise<void> {
    const { tenantId, userId } = adminOf(request);
    const question = { tenantId, userId, ...changes };
    void answerValue(
      reply,
      await this.#apps.ask('conflict-resolver', subjects.suggestionSettings, question, checkReply),
    );
  }
}
