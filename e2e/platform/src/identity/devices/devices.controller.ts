import { Body, Controller, Delete, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { DEVICE_ID_PATTERN, TENANT_ID_PATTERN, USER_ID_PATTERN, validator } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import Type from 'typebox';
import { parameter } from '../../path-parameter.ts';
import { type AccessToken, issueAccessToken } from '../access-tokens/issue-access-token.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { DEVICES, SIGNING_KEY } from '../tokens.ts';
import type { BoundDevice, DeviceBindings, RotatedDevice } from './device-bindings.ts';

const PREVIOUS_GOOD_HOURS = 24;

const checkRotation = validator(
  Type.Object({ previousGoodForHours: Type.Optional(Type.Integer({ minimum: 0, maximum: 168 })) }),
);

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

  @Post('devices/:deviceId/keys')
  @HttpCode(200)
  rotateKey(@Param('deviceId') deviceId: string, @Body() body: unknown): Promise<RotatedDevice> {
    const options = checkRotation(body ?? {});
    if (!options.ok) {
      throw new ProblemError('schema_invalid', 'The body takes previousGoodForHours', {
        errors: options.faults,
      });
    }
    const { previousGoodForHours = PREVIOUS_GOOD_HOURS } = options.value;
    return this.devices.rotateKey(parameter('deviceId', deviceId, DEVICE_ID_PATTERN), previousGoodForHours);
  }

  @Delete('devices/:deviceId')
  @HttpCode(204)
  async revoke(@Param('deviceId') deviceId: string): Promise<void> {
    await this.devices.revoke(parameter('deviceId', deviceId, DEVICE_ID_PATTERN));
  }
}
