import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IdlePauses } from '@sync/messaging';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../push/testing/push-rig.ts';
import { Dispatcher } from './dispatcher.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 700 });
});
afterAll(() => rig.stop());

const HOUR_MS = 3_600_000;

/** A dispatcher beside the rig, and how often it has looked. */
function start(pauses: IdlePauses): {
  readonly dispatcher: Dispatcher;
  readonly looks: () => number;
} {
  let looks = 0;
  const store = Object.create(rig.store, {
    take: {
      value: (limit: number) => {
        looks += 1;
        return rig.store.take(limit);
      },
    },
  }) as typeof rig.store;
  const dispatcher = new Dispatcher(store, rig.dispatchDevice, silent, pauses);
  rig.ledger.onOpen((dueInMs) => dispatcher.expect(dueInMs));
  dispatcher.start();
  return { dispatcher, looks: () => looks };
}

describe('the dispatcher', () => {
  it('looks ever less often while nobody has open work', async () => {
    const { dispatcher, looks } = start({ busyMs: 20, idleMs: 160 });
    await sleep(2_000);
    await dispatcher.stop();
    // 20, 40 and 80 ms apart, then 160.
    expect(looks()).toBeLessThanOrEqual(20);
  });

  it('looks as often as ever while somebody has, due or not', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    await rig.push(author, [mutationOf(author)]);
    await rig.test.database.call('later', `UPDATE dispatch_queue SET next_attempt_at = 'infinity'`, []);
    const { dispatcher, looks } = start({ busyMs: 20, idleMs: HOUR_MS });
    while (looks() < 30) await sleep(20);
    await dispatcher.stop();
    rig.owner.start();
    await rig.test.database.call('none', 'DELETE FROM dispatch_queue', []);
  });

  it('goes on with what was left open here when it is due, however long it meant to pause', async () => {
    const { dispatcher, looks } = start({ busyMs: HOUR_MS, idleMs: HOUR_MS });
    while (looks() === 0) await sleep(20);
    const author = newAuthor();
    await rig.owner.stop();
    const mutation = mutationOf(author);
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'accepted' }]);
    rig.owner.start();
    await rig.nats.flush();
    while ((await rig.waiting(author)).length === 0) await sleep(20);
    await dispatcher.stop();
    expect(await rig.waiting(author)).toMatchObject([{ mutationId: mutation.mutationId, status: 'applied' }]);
  });
});
