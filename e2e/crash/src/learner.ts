import { DriverDevice, type StackLine, bindDevice } from '@sync/e2e-device';

/** A user with two devices: one writes, the other shows what arrived. */
export interface Learner {
  readonly urls: StackLine;
  readonly tenantId: string;
  readonly userId: string;
  readonly scope: string;
  readonly device: DriverDevice;
  readonly other: DriverDevice;
}

export async function bindLearner(urls: StackLine, tenantId: string, userId: string): Promise<Learner> {
  const bind = async (): Promise<DriverDevice> =>
    new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId));
  return { urls, tenantId, userId, scope: `user:${userId}`, device: await bind(), other: await bind() };
}
