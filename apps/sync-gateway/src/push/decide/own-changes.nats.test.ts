import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ConflictDraft } from '@sync/domain';
import type { ConflictSeen, LocalMutation, Outcome } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

/**
 * A device and its own changes of one entity: those it leaves out of `baseClock`, and those it has forgotten.
 */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = true;
});

async function draftOf(outcome: Outcome | undefined): Promise<ConflictDraft | undefined> {
  const records = (await rig.syncEvents()).filter(({ type }) => type.startsWith('sync.conflict.'));
  const seen = records.map(({ data }) => data as ConflictSeen);
  return seen.find(({ conflictId }) => conflictId === outcome?.conflictId)?.draft as
    ConflictDraft | undefined;
}

async function pushOne(author: Author, mutation: LocalMutation): Promise<Outcome | undefined> {
  const [outcome] = await rig.push(author, [mutation]);
  return outcome;
}

/** The device says that it has the outcome. */
async function ack({ tenantId }: Author, outcome: Outcome | undefined): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query('UPDATE mutation SET acked_at = now() WHERE mutation_id = $1', [outcome?.mutationId]),
  );
}

/** A server's entity, and a device that has seen it. */
async function known(entityType: string): Promise<{
  author: Author;
  entityId: string;
  edit: (text: string, own: number | null, sequence: number, more?: object) => Promise<Outcome | undefined>;
}> {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `own-${deviceId}`;
  await rig.owner.change(tenantId, entityType, entityId, { userId, text: 'server', colour: 'white' });
  const edit = (text: string, own: number | null, sequence: number, more: object = {}) =>
    pushOne(
      author,
      mutationOf(author, {
        ...{ entityType, entityId, op: 'patch', data: { text }, sequence },
        baseClock: { 's:learning': 1, ...(own === null ? {} : { [`d:${deviceId}`]: own }) },
        ...more,
      }),
    );
  return { author, entityId, edit };
}

describe('a device that leaves its own entry out of baseClock', () => {
  it.each(['note', 'progress'])(
    'chains its edits over several pushes without a conflict: %s',
    async (type) => {
      const { author, edit } = await known(type);
      const outcomes = [await edit('a', null, 1), await edit('b', null, 2), await edit('c', null, 3)];
      expect(outcomes).toMatchObject(
        [1, 2, 3].map((own) => ({ status: 'applied', clock: { [`d:${author.deviceId}`]: own } })),
      );
    },
  );

  it('does so while nothing is projected', async () => {
    const { edit } = await known('note');
    rig.owner.projectsAtOnce = false;
    expect([await edit('a', null, 1), await edit('b', null, 2)]).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ]);
    await rig.owner.projectAll();
  });

  it('still meets what others wrote meanwhile', async () => {
    const { author, entityId, edit } = await known('note');
    await edit('a', null, 1);
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'note', entityId, { userId, text: 'server again', colour: 'white' });
    expect(await edit('b', null, 2)).toMatchObject({
      status: 'conflict',
      current: { data: { text: 'server again' } },
    });
  });
});

describe('a device that was restored from a backup', () => {
  const forgotten = { fields: [{ field: 'text', ours: 'forgotten', theirs: 'new', winner: 'theirs' }] };

  it('has its forgotten text recorded when it counts from lower again', async () => {
    const { author, entityId, edit } = await known('progress');
    await edit('kept', null, 1);
    await edit('more', 1, 2);
    await edit('forgotten', 2, 3);
    const outcome = await edit('new', 1, 2);
    expect(outcome).toMatchObject({ status: 'merged', clock: { [`d:${author.deviceId}`]: 4 } });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
    expect(rig.owner.entity(author.tenantId, 'progress', entityId)?.data).toMatchObject({ text: 'new' });
  });

  it('has it recorded where its backup had no change of the entity, also when it first writes elsewhere', async () => {
    const { author, edit } = await known('progress');
    await pushOne(author, mutationOf(author, { sequence: 1 }));
    await edit('forgotten', null, 2);
    for (const sequence of [2, 3]) await pushOne(author, mutationOf(author, { sequence }));
    const outcome = await edit('new', null, 4);
    expect(outcome).toMatchObject({ status: 'merged' });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
    // Once it has that outcome it knows its own changes again.
    await ack(author, outcome);
    expect(await edit('newer', null, 5)).toMatchObject({ status: 'applied' });
  });

  it.each([
    ['leaves its own entry out', null, null],
    ['counts its own changes', 1, 2],
  ])('has what a later push would overwrite recorded, too, while it has not heard: it %s', async (...own) => {
    const { author, edit } = await known('progress');
    await edit('kept', own[1] === null ? null : 0, 1);
    await edit('forgotten', own[1], 2);
    // Another field: nothing of what it has forgotten is touched.
    const elsewhere = await edit('', own[1], 2, { data: { colour: 'red' } });
    expect(elsewhere).toMatchObject({ status: 'merged' });
    const outcome = await edit('new', own[2], 3);
    expect(outcome).toMatchObject({ status: 'merged' });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
    await ack(author, outcome);
    expect(await edit('newer', null, 4)).toMatchObject({ status: 'applied' });
  });

  it('has it recorded where its first change since left it to a person', async () => {
    const { author, entityId, edit } = await known('note');
    await edit('kept', 0, 1);
    await edit('', 1, 2, { data: { text: 'forgotten', colour: 'forgotten' } });
    expect(await edit('new', 1, 2)).toMatchObject({ status: 'conflict' });
    const outcome = await edit('', 2, 3, { data: { colour: 'red' } });
    expect(outcome).toMatchObject({ status: 'conflict' });
    expect(rig.owner.entity(author.tenantId, 'note', entityId)?.data).toMatchObject({ colour: 'forgotten' });
  });

  it('has it recorded where it was restored while its changes waited for their owner', async () => {
    const { author, entityId, edit } = await known('progress');
    rig.owner.mode = 'deaf';
    await edit('kept', null, 1);
    expect(await edit('forgotten', null, 2)).toMatchObject({ status: 'accepted' });
    const change = { data: { colour: 'red' } };
    expect(await edit('', null, 2, change)).toMatchObject({ status: 'accepted' });
    rig.owner.mode = 'answers';
    for (let ended = 0; ended < 3;) ended += await rig.dispatch(author);
    const outcome = await edit('new', null, 3);
    expect(rig.owner.entity(author.tenantId, 'progress', entityId)?.data).toMatchObject({ text: 'new' });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
  });

  it('leaves the collision to a person where the registration asks for it', async () => {
    const { edit } = await known('note');
    await edit('kept', null, 1);
    await edit('forgotten', 1, 2);
    const outcome = await edit('new', null, 1);
    expect(outcome).toMatchObject({ status: 'conflict', current: { data: { text: 'forgotten' } } });
  });

  it('writes twice in one millisecond under one number, and both are kept', async () => {
    const { edit } = await known('progress');
    // A write in the millisecond of what it has seen counts as a millisecond later.
    await sleep(5);
    const occurredAt = new Date().toISOString();
    await edit('forgotten', null, 1, { occurredAt });
    const outcome = await edit('new', null, 1, { occurredAt });
    expect(outcome).toMatchObject({ status: 'merged' });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
  });
});
