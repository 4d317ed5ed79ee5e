import { randomUUID } from 'node:crypto';
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
  rig.owner.mode = 'answers';
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
  make: (text: string, own: number | null, sequence: number, more?: object) => LocalMutation;
  edit: (text: string, own: number | null, sequence: number, more?: object) => Promise<Outcome | undefined>;
}> {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const entityId = `own-${deviceId}`;
  await rig.owner.change(tenantId, entityType, entityId, { userId, text: 'server', colour: 'white' });
  const make = (text: string, own: number | null, sequence: number, more: object = {}) =>
    mutationOf(author, {
      ...{ entityType, entityId, op: 'patch', data: { text }, sequence },
      baseClock: { 's:learning': 1, ...(own === null ? {} : { [`d:${deviceId}`]: own }) },
      ...more,
    });
  const edit = (...change: Parameters<typeof make>) => pushOne(author, make(...change));
  return { author, entityId, make, edit };
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

  it('chains them in the order of the list, however they are numbered', async () => {
    const { author, make } = await known('note');
    const mutations = [make('a', null, 5), make('b', null, 4), make('c', null, 6)];
    const applied = mutations.map(() => ({ status: 'applied' }));
    expect(await rig.push(author, mutations)).toMatchObject(applied);
  });

  it('goes on from its last edit, though one from before that came late', async () => {
    const { author, entityId, edit } = await known('note');
    rig.owner.mode = 'deaf';
    for (const [text, sequence] of [
      ['third', 3],
      ['first', 1],
      ['fourth', 4],
    ] as const)
      expect(await edit(text, null, sequence)).toMatchObject({ status: 'accepted' });
    rig.owner.mode = 'answers';
    for (let ended = 0; ended < 3;) ended += await rig.dispatch(author);
    const ends = (await rig.waiting(author)).map(({ status }) => status);
    expect(ends).toEqual(['applied', 'conflict', 'applied']);
    expect(rig.owner.entity(author.tenantId, 'note', entityId)?.data).toMatchObject({ text: 'fourth' });
  });

  it('is not taken for restored where a stranger’s session had sent its queue', async () => {
    const { author, make, edit } = await known('note');
    await edit('a', null, 1);
    const queued = make('b', null, 2);
    const stranger = { ...author, userId: `${author.userId}-2` };
    expect(await pushOne(stranger, queued)).toMatchObject({ status: 'rejected', code: 'scope_not_held' });
    expect(await pushOne(author, queued)).toMatchObject({ status: 'applied' });
    expect(await edit('c', null, 3)).toMatchObject({ status: 'applied' });
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

  it.each(['note', 'enrollment'])(
    'knows its own changes once it has acked an outcome that kept the server’s: %s',
    async (type) => {
      const { author, edit } = await known(type);
      await ack(author, await edit('kept', 0, 1));
      await edit('forgotten', 1, 2);
      const outcome = await edit('new', 1, 2);
      expect(outcome).toMatchObject({ current: { data: { text: 'forgotten' } } });
      expect(await edit('not heard', 2, 3)).toMatchObject({ current: { data: { text: 'forgotten' } } });
      await ack(author, outcome);
      expect(await edit('heard', 2, 4)).toMatchObject({ status: 'applied' });
    },
  );

  it('knows them also where many others have written since', async () => {
    const { author, entityId, edit } = await known('note');
    await edit('kept', 0, 1);
    await pushOne(author, mutationOf(author, { sequence: 1 }));
    const { clock = {} } = (await edit('', 1, 2, { data: { colour: 'red' } })) ?? {};
    const newer = await edit('mine', null, 3, { baseClock: clock });
    await ack(author, newer);
    const other = { ...author, deviceId: `${author.deviceId}-2` };
    let seen = newer?.clock ?? clock;
    for (let sequence = 1; sequence <= 21; sequence += 1) {
      const change = { entityType: 'note', entityId, op: 'patch', baseClock: seen, sequence } as const;
      const data = { colour: `colour ${sequence}` };
      seen = (await pushOne(other, mutationOf(other, { ...change, data })))?.clock ?? seen;
    }
    expect(await edit('mine, too', null, 4, { baseClock: seen })).toMatchObject({ status: 'applied' });
  });

  it.each([
    ['matches no schema', { data: 7 }, 'mutation_invalid'],
    ['has the id of the forgotten one', { data: { colour: 'red' } }, 'mutation_id_reused'],
  ])('has it recorded where its first mutation since %s', async (_, first, code) => {
    const { author, edit } = await known('progress');
    await ack(author, await edit('kept', null, 1));
    const mutationId = randomUUID();
    await edit('forgotten', null, 2, { mutationId });
    const again = code === 'mutation_id_reused' ? { mutationId } : {};
    const refused = await edit('', null, 2, { ...first, ...again });
    expect(refused).toMatchObject({ status: 'rejected', code });
    await ack(author, refused);
    const outcome = await edit('new', null, 3);
    expect(outcome).toMatchObject({ status: 'merged' });
    expect(await draftOf(outcome)).toMatchObject(forgotten);
  });

  it('has it recorded where it acked a refusal from before its changes came to their owner', async () => {
    const { author, edit } = await known('progress');
    await edit('kept', null, 1);
    rig.owner.mode = 'deaf';
    expect(await edit('forgotten', null, 2)).toMatchObject({ status: 'accepted' });
    await ack(author, await edit('', null, 2, { scope: 'user:nobody' }));
    rig.owner.mode = 'answers';
    while ((await rig.dispatch(author)) === 0);
    const outcome = await edit('new', null, 3);
    expect(await draftOf(outcome)).toMatchObject(forgotten);
  });

  it('is no other one that has one number for all, and counts its changes', async () => {
    const { edit } = await known('note');
    const outcomes = [await edit('a', 0, 1), await edit('b', 1, 1), await edit('c', 2, 1)];
    expect(outcomes).toMatchObject(outcomes.map(() => ({ status: 'applied' })));
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
