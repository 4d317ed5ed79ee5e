import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findUnstorable, type OwnerPushRequest, type OwnerPushResult, subjects } from '@sync/protocol';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
  await rig.owner.stop();
});
afterAll(() => rig.stop());

const HALF = '\ud83d';

/** An owner without the SDK, which answers whatever its language lets it print. */
function answerEverybody(result: (userId: string) => object): () => void {
  const subscription = rig.nats.subscribe(subjects.push('learning', '*'), {
    callback: (_error, message) => {
      const { mutations } = message.json<OwnerPushRequest>();
      const results = mutations.map(({ mutationId, userId }) => ({ mutationId, ...result(userId) }));
      message.respond(JSON.stringify({ results: results as OwnerPushResult[] }));
    },
  });
  return () => subscription.unsubscribe();
}

describe('an owner whose answer holds half a surrogate pair', () => {
  it.each([
    ['message', () => ({ status: 'rejected', code: 'data_invalid', message: `/${HALF}: cut here ${HALF}` })],
    [
      'state',
      (userId: string) => {
        const current = { revision: 7, clock: { 's:learning': 7 }, data: { userId, [HALF]: `a${HALF}` } };
        return { status: 'conflict', current: { ...current, deleted: false } };
      },
    ],
  ])('ends the mutation all the same: its %s is shown in strict JSON', async (_part, result) => {
    const stop = answerEverybody(result);
    const author = newAuthor();
    const mutation = mutationOf(author, { entityType: 'enrollment', baseClock: { 's:learning': 1 } });
    const [outcome] = await rig.push(author, [mutation]);
    expect(outcome?.status).toBe('rejected');
    expect(findUnstorable(outcome)).toBeNull();
    const events = (await rig.syncEvents()).filter(({ deviceid }) => deviceid === author.deviceId);
    expect(events).not.toHaveLength(0);
    expect(findUnstorable(events)).toBeNull();
    stop();
  });
});
