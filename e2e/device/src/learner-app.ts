import type { EntityType } from '@sync/client';
import { AppDevice, type AppDeviceOptions } from './app-device.ts';
import { type PlatformUrls, bindDevice } from './platform-client.ts';

/** What the app of a learner knows of the reference platform. */
export const LEARNER_APP = {
  bundle: {} as EntityType,
  document: {} as EntityType,
  enrollment: {} as EntityType,
  note: {} as EntityType,
  progress: {} as EntityType,
  statement: {} as EntityType,
} as const;
export type LearnerDevice = AppDevice<typeof LEARNER_APP>;

/** Binds a new device to the user. Its app is open and started, with everything in memory. */
export async function bindLearnerDevice(
  urls: Pick<PlatformUrls, 'gateway' | 'identity'>,
  tenantId: string,
  userId: string,
  more: Partial<AppDeviceOptions<typeof LEARNER_APP>> = {},
): Promise<LearnerDevice> {
  const credentials = await bindDevice(urls, tenantId, userId);
  const device = await AppDevice.open({
    ...{ urls, tenantId, userId, credentials, entities: LEARNER_APP },
    ...more,
  });
  device.client.start();
  return device;
}
