import { type LearnerDevice, type StackLine, bindLearnerDevice } from '@sync/e2e-device';

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
  const bind = (): Promise<LearnerDevice> => bindLearnerDevice(urls, tenantId, userId, { newId });
  return { urls, tenantId, userId, device: await bind(), other: await bind() };
}
