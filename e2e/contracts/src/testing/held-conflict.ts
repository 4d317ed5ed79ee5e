import { type DeviceCredentials, DriverDevice, bindDevice, changeOnServer } from '@sync/e2e-device';
import { derivedUuid } from '@sync/service-kit/derived-uuid';
import { platform } from './platform.ts';

/** The id of the record of a mutation: contracts name both. */
export const conflictIdOf = (mutationId: string): string => derivedUuid(`conflict\0${mutationId}`);

/** Where a held conflict is, and by what it came to be. */
export interface HeldConflict {
  readonly tenantId: string;
  readonly userId: string;
  readonly entityId: string;
  readonly mutationId: string;
}

/**
 * Lets a device of the user change the text of a note that the service changed meanwhile: it is held for a
 * person. The entity's clock is `{"s:learning": 2}` then.
 * @returns the device, which finds the record
 */
export async function holdConflict(held: HeldConflict): Promise<DeviceCredentials> {
  const { tenantId, userId, entityId, mutationId } = held;
  const credentials = await bindDevice(platform(), tenantId, userId);
  const device = new DriverDevice(platform().gateway, credentials);
  const scope = `user:${userId}`;
  const write = (text: string): Promise<void> =>
    changeOnServer(platform().learning, tenantId, 'note', entityId, { userId, text });
  const seen = async (counter: number): Promise<void> => {
    while (device.replica(scope).entities.get(`note/${entityId}`)?.clock['s:learning'] !== counter)
      await device.pullOnce({ waitMs: 500 });
  };
  await write('at first');
  await seen(1);
  await write('of the service');
  await seen(2);
  device.outbox.push({
    ...{ mutationId, sequence: 1, scope, entityType: 'note', entityId, op: 'patch', schemaVersion: 1 },
    ...{ data: { text: 'of the device' }, baseClock: { 's:learning': 1 } },
    occurredAt: new Date().toISOString(),
  });
  const [outcome] = await device.push();
  if (outcome?.status !== 'conflict') throw new Error(`held it is not: ${JSON.stringify(outcome)}`);
  for (;;) {
    const path = `/sync/v1/conflicts/${outcome.conflictId ?? ''}`;
    const { status } = await device.send(path, null, { method: 'GET' });
    if (status === 200) return credentials;
  }
}
