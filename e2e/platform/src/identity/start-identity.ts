import { Module } from '@nestjs/common';
import { RemoteError, Responder } from '@sync/messaging';
import { DeviceBindingRequest, subjects, validator } from '@sync/protocol';
import { type RunningService, runService } from '@sync/service-kit';
import type { PlatformConfig } from '../platform-config.ts';
import { layFoundation } from '../platform-foundation.ts';
import { AccessTokensController } from './access-tokens/access-tokens.controller.ts';
import { CreateIdentity1764000000000 } from './database/create-identity.ts';
import { KeepEarlierKeys1764600000000 } from './database/keep-earlier-keys.ts';
import { DeviceBindings } from './devices/device-bindings.ts';
import { DevicesController } from './devices/devices.controller.ts';
import { JwksController } from './keys/jwks.controller.ts';
import { loadSigningKey } from './keys/signing-key.ts';
import { DEVICES, SIGNING_KEY } from './tokens.ts';

const NAME = 'identity';

@Module({})
class IdentityModule {}

const checkVerify = validator(DeviceBindingRequest);

/** Stands where a company's identity service would: keys, tokens, device bindings. */
export async function startIdentity(config: PlatformConfig): Promise<RunningService> {
  const foundation = await layFoundation(NAME, config, [
    CreateIdentity1764000000000,
    KeepEarlierKeys1764600000000,
  ]);
  const { logger, metrics, database, nats, readiness } = foundation;
  const key = await loadSigningKey(database);
  const devices = new DeviceBindings(database, nats);
  const verify = new Responder({
    nats,
    subject: subjects.deviceBindingVerify,
    queue: NAME,
    logger,
    handle: async (body) => {
      const request = checkVerify(body);
      if (!request.ok) throw new RemoteError('schema_invalid', 'not a DeviceBindingRequest');
      return devices.verify(request.value);
    },
  });
  return runService({
    name: NAME,
    module: {
      module: IdentityModule,
      controllers: [JwksController, AccessTokensController, DevicesController],
      providers: [
        { provide: SIGNING_KEY, useValue: key },
        { provide: DEVICES, useValue: devices },
      ],
    },
    config,
    logger,
    metrics,
    readiness,
    onDrain: [() => verify.stop(), () => foundation.close()],
  });
}
