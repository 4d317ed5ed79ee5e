import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());

it('leaves an upcaster alone that does not answer, and goes on with pushes to the same service', async () => {
  const progress = rig.types.get('progress');
  if (!progress) throw new Error('progress is not registered');
  const upcasters = [{ from: 1, subject: 'learning.broken' }];
  rig.types.set('progress', { ...progress, schemaVersion: 2, upcasters });
  let asked = 0;
  const handle = (): Promise<string> => {
    asked += 1;
    return Promise.resolve('no reply of an upcaster');
  };
  const broken = new Responder({
    ...{ nats: rig.nats, subject: 'learning.broken', queue: 'q', logger: silent },
    handle,
  });
  await rig.nats.flush();
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const author = newAuthor();
    const older = mutationOf(author, { schemaVersion: 1 });
    const present = mutationOf(author, { schemaVersion: 2 });
    const outcomes = await rig.push(author, [older, present]);
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'applied']);
  }
  expect(asked).toBe(5);
  await broken.stop();
});
