import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { SyncEvent } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(async () => {
  await rig.owner.stop();
  rig.owner.start();
  await rig.nats.flush();
});

async function eventsOf({ deviceId }: Author): Promise<Pick<SyncEvent, 'type' | 'data'>[]> {
  const events = (await rig.syncEvents()).filter(({ deviceid }) => deviceid === deviceId);
  return events.map(({ type, data }) => ({ type, data }));
}

describe('a push', () => {
  it('is told by one event, which counts what was stored and lists what was not simply applied', async () => {
    const author = newAuthor();
    const [good, bad] = [mutationOf(author), mutationOf(author, { op: 'append' })];
    await rig.push(author, [good, bad]);
    const { mutationId, entityId } = bad;
    expect(await eventsOf(author)).toEqual([
      {
        type: 'sync.push.completed.v1',
        data: {
          counts: { applied: 1, rejected: 1 },
          mutations: [
            { mutationId, entityType: 'progress', entityId, status: 'rejected', code: 'op_not_allowed' },
          ],
        },
      },
    ]);
  });

  it('is counted as accepted while its owner is down, and once more when it has come to its end', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    const mutation = mutationOf(author);
    const { mutationId, entityType, entityId } = mutation;
    await rig.push(author, [mutation]);
    await rig.dispatch(author);
    rig.owner.start();
    await rig.nats.flush();
    await rig.dispatch(author);
    expect(await eventsOf(author)).toEqual([
      {
        type: 'sync.push.completed.v1',
        data: {
          counts: { accepted: 1 },
          mutations: [{ mutationId, entityType, entityId, status: 'accepted' }],
        },
      },
      { type: 'sync.push.completed.v1', data: { counts: { applied: 1 }, mutations: [] } },
    ]);
  });

  it('is listed mutation by mutation as well, where the gateway is told to', async () => {
    const listing = await startPushRig({ listsMutations: true });
    try {
      const author = newAuthor();
      await listing.push(author, [mutationOf(author), mutationOf(author, { op: 'append' })]);
      expect((await listing.syncEvents()).map(({ type }) => type)).toEqual([
        'sync.push.completed.v1',
        'sync.mutation.applied.v1',
        'sync.mutation.rejected.v1',
      ]);
    } finally {
      await listing.stop();
    }
  });
});
