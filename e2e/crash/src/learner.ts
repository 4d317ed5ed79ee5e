import type { EntityType } from '@sync/client';
import { AppDevice, type StackLine, bindDevice } from '@sync/e2e-device';

/** What the app of a learner knows. */
export const ENTITIES = {
  statement: {} as EntityType,
  note: {} as EntityType,
  progress: {} as EntityType,
} as const;
export type LearnerDevice = AppDevice<typeof ENTITIES>;

/** A user with two devices: one writes, the other shows what arrived. */
export interface Learner {
  readonly urls: StackLine;
  readonly tenantId: string;
  readonly userId: string;
  readonly device: LearnerDevice;
  readonly other: LearnerDevice;
}

/** Both devices are open and started, with everything in memory. */
export async function bindLearner(
  urls: StackLine,
  tenantId: string,
  userId: string,
  newId: () => string,
): Promise<Learner> {
  const open = async (): Promise<LearnerDevice> => {
    const credentials = await bindDevice(urls, tenantId, userId);
    const device = await AppDevice.open({ urls, tenantId, userId, credentials, entities: ENTITIES, newId });
    device.client.start();
    return device;
  };
  return { urls, tenantId, userId, device: await open(), other: await open() };
}
