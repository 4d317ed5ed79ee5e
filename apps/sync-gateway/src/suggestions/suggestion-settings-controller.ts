import { Controller, Get, Inject, Put, Req, Res } from '@nestjs/common';
import type { JsonObject } from '@sync/domain';
import { SuggestionSettings, SuggestionSettingsReply, subjects, validator } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { AskApp } from '../admin/ask-app.ts';
import { actOf } from '../audit/admin-act.ts';
import { AuditLog } from '../audit/audit-log.ts';
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
  readonly #audit: AuditLog;

  constructor(@Inject(AskApp) apps: AskApp, @Inject(AuditLog) audit: AuditLog) {
    this.#apps = apps;
    this.#audit = audit;
  }

  @Get()
  async show(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    void answerValue(reply, await this.#ask(request, {}));
  }

  @Put()
  async put(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const settings = decodeBody(request, checkSettings);
    const set = linePartsOf(settings);
    const ask = (): Promise<SuggestionSettingsReply> => this.#ask(request, { settings });
    void answerValue(reply, await this.#audit.around(actOf(request), set, ask, () => ({})));
  }

  #ask(
    request: FastifyRequest,
    changes: { readonly settings?: SuggestionSettings },
  ): Promise<SuggestionSettingsReply> {
    const { tenantId, userId } = adminOf(request);
    const question = { tenantId, userId, ...changes };
    return this.#apps.ask('conflict-resolver', subjects.suggestionSettings, question, checkReply);
  }
}

/** What a line of the audit log says of settings. Patterns may quote what they hide, so they are counted. */
function linePartsOf(settings: SuggestionSettings): JsonObject {
  const { enabled, tokensPerDay, costPerDayMicros, redactFields, redactPatterns } = settings;
  return {
    ...{ enabled, tokensPerDay, costPerDayMicros },
    ...{ redactFields: redactFields.length, redactPatterns: redactPatterns.length },
  };
}
