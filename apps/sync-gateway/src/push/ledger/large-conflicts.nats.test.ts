import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConflictDraft, JsonObject } from '@sync/domain';
import { MAX_PAYLOAD_BYTES } from '@sync/messaging';
import type { ConflictSeen, Outcome } from '@sync/protocol';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  // A busy machine takes longer to read twenty thousand fields than owners usually have.
  rig = await startPushRig({ ownerTimeoutMs: 20_000 });
});
afterAll(() => rig.stop());

async function draftOf(outcome: Outcome | undefined): Promise<ConflictDraft | undefined> {
  const events = (await rig.syncEvents()).map(({ data }) => data as ConflictSeen);
  return events.find(({ conflictId }) => conflictId === outcome?.conflictId)?.draft as
    ConflictDraft | undefined;
}

async function largestMessage(): Promise<number> {
  const rows = await rig.test.database.transaction((tx) =>
    tx.query<{ bytes: number }>('SELECT max(octet_length(payload))::int4 AS bytes FROM sync_outbox'),
  );
  return rows[0]?.bytes ?? 0;
}

describe('the event of a conflict that would not fit one message', () => {
  it('keeps what lost: the value of the server that was overwritten', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `large-${author.deviceId}`;
    const kept = 'k'.repeat(200_000);
    await rig.owner.change(tenantId, 'progress', entityId, { userId, kept, body: 'first' });
    const overwritten = 'y'.repeat(450_000);
    await rig.owner.change(tenantId, 'progress', entityId, { userId, kept, body: overwritten });
    const data = { body: 'z'.repeat(250_000) };
    const [outcome] = await rig.push(author, [
      mutationOf(author, { entityId, op: 'patch', data, baseClock: { 's:learning': 1 } }),
    ]);
    expect(outcome?.status).toBe('merged');
    const draft = await draftOf(outcome);
    expect(draft?.theirs).toEqual(data);
    expect(draft?.ours).toEqual({ body: overwritten });
    expect(draft?.fields).toEqual([{ field: 'body', winner: 'theirs' }]);
    expect(await largestMessage()).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
  });

  it('fits all the same when it is about more fields than a message has room for', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `wide-${author.deviceId}`;
    const wide = (value: number): JsonObject => {
      return Object.fromEntries(Array.from({ length: 23_000 }, (_, place) => [`f${place}`, value]));
    };
    await rig.owner.change(tenantId, 'enrollment', entityId, { userId, ...wide(1) });
    await rig.owner.change(tenantId, 'enrollment', entityId, { userId, ...wide(2) });
    const data = wide(3);
    const [outcome] = await rig.push(author, [
      mutationOf(author, {
        entityType: 'enrollment',
        entityId,
        op: 'patch',
        data,
        baseClock: { 's:learning': 1 },
      }),
    ]);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'server_changed' });
    expect((await draftOf(outcome))?.theirs).toEqual(data);
    expect(await largestMessage()).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
  });
});

it.each(['enrollment', 'progress'])(
  'a conflict about %s that fits no message is decided all the same, and so is what came with it',
  async (entityType) => {
    const author = newAuthor();
    const { tenantId, userId, deviceId } = author;
    const entityIds = [`asked-${deviceId}`, `beside-${deviceId}`];
    const names = Array.from({ length: 22_000 }, (_, place) => `x${place.toString(36)}`);
    const wide = Object.fromEntries(names.map((name) => [name, 3]));
    for (const entityId of entityIds) {
      await rig.owner.change(tenantId, entityType, entityId, { userId, value: 1 });
      await rig.owner.change(tenantId, entityType, entityId, { userId, value: 2 });
    }
    const mutations = entityIds.map((entityId, place) => {
      const data = { value: 3, ...(place === 0 ? wide : {}) };
      return mutationOf(author, { entityType, entityId, op: 'patch', data, baseClock: { 's:learning': 1 } });
    });
    const expected = entityType === 'progress' ? 'merged' : 'rejected';
    expect((await rig.push(author, mutations)).map(({ status }) => status)).toEqual([expected, expected]);
  },
);
