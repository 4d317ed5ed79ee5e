import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import {
  ADMIN_PAGE_SIZE,
  DEVICE_ID_PATTERN,
  DevicesReply,
  type DevicesRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { adminOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { DevicesQuery, PageQuery } from './admin-queries.ts';
import { AskApp } from './ask-app.ts';
import { decodeQuery } from './decode-query.ts';

/** Entries of a page when nothing else is asked for. */
export const DEFAULT_PAGE = ADMIN_PAGE_SIZE / 5;

const DEVICE_ID = new RegExp(DEVICE_ID_PATTERN);
const checkDevices = validator(DevicesReply);

/** The devices of the tenant, as device-health knows them. */
@Controller('admin/v1')
export class FleetController {
  private readonly apps: AskApp;

  constructor(@Inject(AskApp) apps: AskApp) {
    this.apps = apps;
  }

  @Get('devices')
  async devices(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { cursor, limit, status, user } = decodeQuery(DevicesQuery, request.query);
    await answerValue(
      reply,
      await this.askDevices({
        tenantId: adminOf(request).tenantId,
        cursor: cursor ?? null,
        limit: limit ?? DEFAULT_PAGE,
        ...(status ? { status } : {}),
        ...(user ? { userId: user } : {}),
      }),
    );
  }

  @Get('devices/:deviceId')
  async device(
    @Param('deviceId') deviceId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { tenantId } = adminOf(request);
    const { cursor = null } = decodeQuery(PageQuery, request.query);
    // What can be no device is no device of this tenant either.
    const known = DEVICE_ID.test(deviceId);
    const { devices, next } = known
      ? await this.askDevices({ tenantId, cursor, limit: 1, deviceId })
      : { devices: [], next: null };
    const [device] = devices;
    if (!device) throw new ProblemError('not_found', `No device "${deviceId}" is known in this tenant`);
    await answerValue(reply, { device, next });
  }

  private askDevices(question: DevicesRequest): Promise<DevicesReply> {
    return this.apps.ask('device-health', subjects.deviceHealth, question, checkDevices);
  }
}
