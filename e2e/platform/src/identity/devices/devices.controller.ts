import { Controller, Delete, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { DEVICE_ID_PATTERN, TENANT_ID_PATTERN, USER_ID_PATTERN } from '@sync/protocol';
import { parameter } from '../../path-parameter.ts';
import { type AccessToken, issueAccessToken } from '../access-tokens/issue-access-token.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { DEVICES, SIGNING_KEY } from '../tokens.ts';
import type { BoundDevice, DeviceBindings } from './device-bindings.ts';

@Controller('dev')
export class DevicesController {
  private readonly devices: DeviceBindings;
  private readonly key: SigningKey;

  constructor(@Inject(DEVICES) devices: DeviceBindings, @Inject(SIGNING_KEY) key: SigningKey) {
    this.devices = devices;
    this.key = key;
  }

  @Post('tenants/:tenantId/users/:userId/devices')
  @HttpCode(200)
  async bind(
    @Param('tenantId') tenantId: string,
    @Param('userId') userId: string,
  ): Promise<BoundDevice & AccessToken> {
    const holder = {
      tenantId: parameter('tenantId', tenantId, TENANT_ID_PATTERN),
      userId: parameter('userId', userId, USER_ID_PATTERN),
    };
    const device = await this.devices.bind(holder.tenantId, holder.userId);
    return { ...device, ...(await issueAccessToken(this.key, holder)) };
  }

  @Delete('devices/:deviceId')
  @HttpCode(204)
  async revoke(@Param('deviceId') deviceId: string): Promise<void> {
    await this.devices.revoke(parameter('deviceId', deviceId, DEVICE_ID_PATTERN));
  }
}
