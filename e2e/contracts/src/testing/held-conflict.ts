import { type LearnerDevice, bindLearnerDevice, changeOnServer, until } from '@sync/e2e-device';
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
 * @returns the device, open and live, which has pulled the record
 */
export async function holdConflict(held: HeldConflict): Promise<LearnerDevice> {
  const { tenantId, userId, entityId, mutationId } = held;
  const device = await bindLearnerDevice(platform(), tenantId, userId, { newId: () => mutationId });
  const { client } = device;
  const notes = await client.entity('note').load();
  const write = (text: string): Promise<void> =>
    changeOnServer(platform().learning, tenantId, 'note', entityId, { userId, text });
  const becomes = (what: string, holds: () => Promise<boolean>): Promise<void> =>
    until(what, holds, { limitMs: 30_000, pauseMs: 20 });
  await write('at first');
  await becomes('the device has the note', async () => notes.get(entityId) !== null);
  client.forceOffline();
  await write('of the service');
  const ofDevice = await notes.patch(entityId, { text: 'of the device' });
  client.forceOffline(false);
  await becomes('it is held', async () => ofDevice.outcome?.status === 'conflict');
  const conflictId = conflictIdOf(mutationId);
  await becomes('the record is there', async () => {
    return (await client.conflicts()).some((record) => record.conflictId === conflictId);
  });
  return device;
}
