import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

/** `current` is never older than what the device was told. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = false;
});

const soon = (): void => void sleep(60).then(() => rig.owner.projectAll());

describe('right after a put was applied', () => {
  it.each([
    ['an op of another policy', { op: 'append' as const }, 'op_not_allowed'],
    ['data that its owner refuses', { data: { text: 'forbidden' }, op: 'patch' as const }, 'forbidden'],
    ['an invalid time', { occurredAt: 'yesterday' }, 'mutation_invalid'],
  ])('shows the entity to what is refused: %s', async (_what, changes, code) => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    soon();
    const [outcome] = await rig.push(author, [mutationOf(author, { entityId: put.entityId, ...changes })]);
    expect(outcome).toMatchObject({ status: 'rejected', code, current: { op: 'put', data: put.data } });
  });

  it('does so in the same push', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    soon();
    const bad = mutationOf(author, { entityId: put.entityId, op: 'append' });
    expect(await rig.push(author, [put, bad])).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', current: { op: 'put', data: put.data } },
    ]);
  });

  it('shows it under a mutationId that is used, and asks to come again before that', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const reused = { ...put, data: { userId: author.userId, percent: 99 } };
    await expect(rig.push(author, [reused])).rejects.toMatchObject({ code: 'unavailable' });
    await rig.owner.projectAll();
    expect(await rig.push(author, [reused])).toMatchObject([
      { status: 'rejected', code: 'mutation_id_reused', current: { op: 'put', data: put.data } },
    ]);
  });

  it('ends a refusal later while the read model is behind', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const bad = mutationOf(author, { entityId: put.entityId, op: 'append' });
    expect(await rig.push(author, [bad])).toMatchObject([{ status: 'accepted' }]);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'op_not_allowed', current: { op: 'put', data: put.data } },
    ]);
  });

  it('ends what matches no schema later, too, with its reason', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const bad = mutationOf(author, { entityId: put.entityId, occurredAt: 'yesterday' });
    expect(await rig.push(author, [bad])).toMatchObject([{ status: 'accepted' }]);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    const message = expect.stringContaining('/occurredAt');
    expect((await rig.waiting(author))[1]).toMatchObject({
      ...{ status: 'rejected', code: 'mutation_invalid', message },
      current: { op: 'put', data: put.data },
    });
  });
});
