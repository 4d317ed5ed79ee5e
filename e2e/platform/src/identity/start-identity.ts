import { Module } from '@nestjs/common';
import { RemoteError, Responder } from '@sync/messaging';
import { DeviceBindingRequest, subjects, validator } from '@sync/protocol';
import { type ConnectedSeal, connectSeal, type RunningService, runService } from '@sync/service-kit';
import { layFoundation, type PlatformFoundation } from '../platform-foundation.ts';
import { AccessTokensController } from './access-tokens/access-tokens.controller.ts';
import type { IdentityConfig } from './config.ts';
import { CreateIdentity1764000000000 } from './database/create-identity.ts';
import { KeepEarlierKeys1764600000000 } from './database/keep-earlier-keys.ts';
import { SealKeys1764700000000 } from './database/seal-keys.ts';
import { DeviceBindings } from './devices/device-bindings.ts';
import { DevicesController } from './devices/devices.controller.ts';
import { JwksController } from './keys/jwks.controller.ts';
import { SEALED_TABLES } from './keys/sealed-tables.ts';
import { loadSigningKey, type SigningKey } from './keys/signing-key.ts';
import { DEVICES, SIGNING_KEY } from './tokens.ts';

const NAME = 'identity';

@Module({})
class IdentityModule {}

const checkVerify = validator(DeviceBindingRequest);

/**
 * Stands where a company's identity service would: keys, tokens, device bindings.
 * @throws SealError when its master keys are not those of its database
 */
export async function startIdentity(config: IdentityConfig): Promise<RunningService> {
  const foundation = await layFoundation(NAME, config, [
    CreateIdentity1764000000000,
    KeepEarlierKeys1764600000000,
    SealKeys1764700000000,
  ]);
  const { logger, metrics, database, nats, readiness } = foundation;
  const { keys, upkeep, key } = await openKeys(config, foundation).catch(async (error: unknown) => {
    await foundation.close();
    throw error;
  });
  const devices = new DeviceBindings(database, nats, keys, logger);
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
  upkeep.start();
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
    onDrain: [() => verify.stop(), () => upkeep.stop(), () => foundation.close()],
  });
}

async function openKeys(
  config: IdentityConfig,
  { database, logger }: PlatformFoundation,
): Promise<ConnectedSeal & { readonly key: SigningKey }> {
  const seal = await connectSeal(config, database, SEALED_TABLES, logger);
  return { ...seal, key: await loadSigningKey(database, seal.keys) };
}
