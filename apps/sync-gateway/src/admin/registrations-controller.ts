import { Controller, Get, Inject, Param, Put, Req, Res } from '@nestjs/common';
import { firstThatFit } from '@sync/messaging';
import { ADMIN_PAGE_SIZE, SyncRegistration, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { actOf } from '../audit/admin-act.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { RegisterService } from '../registration/register-service.ts';
import { Registry, type ServiceRegistration } from '../registration/registry.ts';
import { PageQuery } from './admin-queries.ts';
import { decodeQuery } from './decode-query.ts';

/** Of one page; a registration may have as much as a request. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

const checkRegistration = validator(SyncRegistration);

/**
 * Registrations belong to services, not to tenants: administrators of all tenants see them, and only operators
 * of the platform change them.
 */
@Controller('admin/v1/registrations')
export class RegistrationsController {
  private readonly registry: Registry;
  private readonly registerService: RegisterService;

  constructor(
    @Inject(Registry) registry: Registry,
    @Inject(RegisterService) registerService: RegisterService,
  ) {
    this.registry = registry;
    this.registerService = registerService;
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { cursor = '', limit = ADMIN_PAGE_SIZE } = decodeQuery(PageQuery, request.query);
    const rest = this.registry.services.filter(({ service }) => service > cursor);
    const registrations = firstThatFit(rest.slice(0, limit), MAX_PAGE_BYTES);
    const next = rest.length > registrations.length ? (registrations.at(-1)?.service ?? null) : null;
    await answerValue(reply, { registrations, next });
  }

  @Get(':service')
  async show(@Param('service') service: string, @Res() reply: FastifyReply): Promise<void> {
    await answerValue(reply, { registration: this.find(service) });
  }

  @Put(':service')
  async put(
    @Param('service') service: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const registration = decodeBody(request, checkRegistration);
    if (registration.service !== service) {
      const fault = { path: '/service', message: `must be "${service}", as in the path` };
      throw new ProblemError('registration_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
    }
    await this.registerService.execute(registration, actOf(request));
    await answerValue(reply, { registration: this.find(service) });
  }

  private find(service: string): ServiceRegistration {
    const found = this.registry.services.find((registration) => registration.service === service);
    if (!found) throw new ProblemError('not_found', `No service "${service}" is registered`);
    return found;
  }
}
