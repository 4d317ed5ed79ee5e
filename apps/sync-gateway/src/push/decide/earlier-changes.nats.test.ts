import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { ConflictDraft } from '@sync/domain';
import type { ConflictSeen, LocalMutation, Outcome } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

/** Two requests of a device arrive in the wrong order, or the first of them never does. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 1_000 });
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.mode = 'answers';
  rig.owner.projectsAtOnce = true;
});

/** A device’s changes of one entity, each of which counts those before it. */
function chainOf(
  author: Author,
  count: number,
  more: (place: number) => object = () => ({}),
): LocalMutation[] {
  const entityId = `e-${author.deviceId}`;
  return Array.from({ length: count }, (_, place) =>
    mutationOf(author, {
      ...{
        entityId,
        op: place === 0 ? 'put' : 'patch',
        data: { userId: author.userId, [`f${place}`]: place },
      },
      baseClock: place === 0 ? {} : { [`d:${author.deviceId}`]: place },
      ...more(place),
    }),
  );
}

async function statusOf(author: Author, { mutationId }: LocalMutation): Promise<Outcome | undefined> {
  return (await rig.waiting(author)).find((outcome) => outcome.mutationId === mutationId);
}

async function draftOf(outcome: Outcome | undefined): Promise<ConflictDraft | undefined> {
  const records = (await rig.syncEvents()).filter(({ type }) => type.startsWith('sync.conflict.'));
  const seen = records.map(({ data }) => data as ConflictSeen);
  return seen.find(({ conflictId }) => conflictId === outcome?.conflictId)?.draft as
    ConflictDraft | undefined;
}

/** As if the quarter of an hour had passed in which a mutation waits for an earlier one. */
async function waitInVain({ tenantId, deviceId }: Author): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(`UPDATE mutation SET received_at = now() - interval '16 minutes' WHERE device_id = $1`, [
      deviceId,
    ]),
  );
}

describe('an edit that comes before the creation it counts', () => {
  it('waits for it, and goes on by itself once that has come', async () => {
    const author = newAuthor();
    const [put, ...patches] = chainOf(author, 3) as [LocalMutation, LocalMutation, LocalMutation];
    for (const patch of patches.toReversed())
      expect(await rig.push(author, [patch])).toMatchObject([{ status: 'accepted' }]);
    expect(await rig.push(author, [put])).toMatchObject([{ status: 'applied' }]);
    expect(await rig.dispatchDue(author)).toBe(2);
    for (const patch of patches) expect(await statusOf(author, patch)).toMatchObject({ status: 'applied' });
    const data = rig.owner.entity(author.tenantId, 'progress', put.entityId)?.data;
    expect(data).toMatchObject({ f0: 0, f1: 1, f2: 2 });
  });

  it('goes in the right order, though the owner was away when the creation came', async () => {
    const author = newAuthor();
    const [put, patch] = chainOf(author, 2) as [LocalMutation, LocalMutation];
    await rig.push(author, [patch]);
    rig.owner.mode = 'deaf';
    expect(await rig.push(author, [put])).toMatchObject([{ status: 'accepted' }]);
    rig.owner.mode = 'answers';
    for (let attempt = 0; attempt < 3; attempt += 1) await rig.dispatch(author);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }, { status: 'applied' }]);
  });

  it('does not wait for what was refused', async () => {
    const author = newAuthor();
    const [refused, put] = chainOf(author, 2, (place) =>
      place === 0 ? { data: { text: 'forbidden' } } : { op: 'put' },
    ) as [LocalMutation, LocalMutation];
    expect(await rig.push(author, [refused])).toMatchObject([{ status: 'rejected' }]);
    expect(await rig.push(author, [put])).toMatchObject([{ status: 'applied' }]);
  });

  it('is refused when that never comes, and kept in a record', async () => {
    const author = newAuthor();
    const [, patch, next] = chainOf(author, 3) as [LocalMutation, LocalMutation, LocalMutation];
    await rig.push(author, [patch]);
    await rig.dispatch(author);
    expect(await rig.waiting(author)).toEqual([]);
    await waitInVain(author);
    await rig.dispatch(author);
    const outcome = await statusOf(author, patch);
    expect(outcome).toMatchObject({
      ...{ status: 'rejected', code: 'dependency_failed', message: expect.stringContaining('/baseClock') },
      current: { op: 'delete', clock: {} },
    });
    expect(await draftOf(outcome)).toMatchObject({ theirs: { f1: 1 }, ours: null });
    // What counts that one has nothing more to wait for.
    expect(await rig.push(author, [next])).not.toMatchObject([{ status: 'accepted' }]);
  });

  it('is carried out after that time where it says all by itself', async () => {
    const author = newAuthor();
    const [, put] = chainOf(author, 2, () => ({ op: 'put' })) as [LocalMutation, LocalMutation];
    expect(await rig.push(author, [put])).toMatchObject([{ status: 'accepted' }]);
    await waitInVain(author);
    await rig.dispatch(author);
    expect(await statusOf(author, put)).toMatchObject({ status: 'applied' });
  });

  it('finds nothing overwritten by a creation that comes after all', async () => {
    const author = newAuthor();
    const [put, patch] = chainOf(author, 2, () => ({ op: 'put', data: { userId: author.userId } })) as [
      LocalMutation,
      LocalMutation,
    ];
    const occurredAt = new Date(Date.now() - 60_000).toISOString();
    const late = { ...put, occurredAt, data: { userId: author.userId, page: 'first' } };
    await rig.push(author, [{ ...patch, data: { userId: author.userId, page: 'second' } }]);
    await waitInVain(author);
    await rig.dispatch(author);
    const [outcome] = await rig.push(author, [late]);
    expect(outcome).toMatchObject({ status: 'merged', current: { data: { page: 'second' } } });
    expect(await draftOf(outcome)).toMatchObject({ theirs: { page: 'first' } });
  });
});

describe('a mutation that comes before what it depends on', () => {
  it.each(['the same entity', 'another entity'])('waits for it: %s', async (where) => {
    const author = newAuthor();
    const first = mutationOf(author);
    const entityId = where === 'the same entity' ? first.entityId : `other-${author.deviceId}`;
    const second = mutationOf(author, { entityId, dependsOn: [first.mutationId], data: { percent: 99 } });
    expect(await rig.push(author, [second])).toMatchObject([{ status: 'accepted' }]);
    expect(await rig.push(author, [first])).toMatchObject([{ status: 'applied' }]);
    expect(await rig.dispatchDue(author)).toBe(1);
    expect(await statusOf(author, second)).toMatchObject({ status: 'applied' });
  });

  it('comes behind it in their lane, though the owner was away when that came', async () => {
    const author = newAuthor();
    const [first, second] = chainOf(author, 2, () => ({ baseClock: {} })) as [LocalMutation, LocalMutation];
    await rig.push(author, [{ ...second, dependsOn: [first.mutationId] }]);
    rig.owner.mode = 'deaf';
    expect(await rig.push(author, [first])).toMatchObject([{ status: 'accepted' }]);
    rig.owner.mode = 'answers';
    for (let attempt = 0; attempt < 3; attempt += 1) await rig.dispatch(author);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }, { status: 'applied' }]);
    expect(rig.owner.applied.slice(-2)).toEqual([first.mutationId, second.mutationId]);
  });

  it('is refused when that never comes, and kept in a record', async () => {
    const author = newAuthor();
    const orphan = mutationOf(author, { dependsOn: [randomUUID()] });
    expect(await rig.push(author, [orphan])).toMatchObject([{ status: 'accepted' }]);
    await rig.dispatch(author);
    expect(await rig.waiting(author)).toEqual([]);
    await waitInVain(author);
    await rig.dispatch(author);
    const outcome = await statusOf(author, orphan);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'dependency_failed' });
    expect(await draftOf(outcome)).toMatchObject({ theirs: { percent: 10 } });
  });

  it('ends in a circle as it would in one push', async () => {
    const author = newAuthor();
    const [one, two, three] = [mutationOf(author), mutationOf(author), mutationOf(author)];
    // The second waits behind the first, the third depends on the second, and the first on the third.
    await rig.push(author, [{ ...one, dependsOn: [three.mutationId] }]);
    await rig.push(author, [{ ...two, entityId: one.entityId }]);
    await rig.push(author, [{ ...three, dependsOn: [two.mutationId] }]);
    for (let attempt = 0; attempt < 4; attempt += 1) await rig.dispatch(author);
    const codes = (await rig.waiting(author)).map(({ code, status }) => code ?? status);
    expect(codes).toContain('dependency_cycle');
    expect(codes).toHaveLength(3);
  });

  it('finds it applied, though both came in one push and were carried out one after the other', async () => {
    const author = newAuthor();
    const first = mutationOf(author);
    const second = mutationOf(author, { dependsOn: [first.mutationId] });
    rig.owner.mode = 'deaf';
    await rig.push(author, [first, second]);
    rig.owner.mode = 'answers';
    await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query(`UPDATE mutation SET next_attempt_at = now() + interval '1 hour' WHERE mutation_id = $1`, [
        second.mutationId,
      ]),
    );
    await rig.test.database.transaction((tx) =>
      tx.query(`UPDATE dispatch_queue SET next_attempt_at = now() WHERE device_id = $1`, [author.deviceId]),
    );
    await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query(`UPDATE mutation SET next_attempt_at = now() WHERE mutation_id = $1`, [first.mutationId]),
    );
    expect(await rig.dispatchDue(author)).toBe(1);
    expect(await rig.dispatchDue(author)).toBe(1);
    expect(await statusOf(author, second)).toMatchObject({ status: 'applied' });
  });
});

describe('an edit that counts a change whose id somebody else has used', () => {
  it.each([['before it was refused'], ['since it was refused']])('does not wait for it: %s', async (when) => {
    const author = newAuthor();
    const stranger = { ...newAuthor(), tenantId: author.tenantId };
    const [put, edit, next] = chainOf(author, 3) as [LocalMutation, LocalMutation, LocalMutation];
    await rig.push(author, [put]);
    const bad = { ...edit, op: 'append' };
    const foreign = mutationOf(stranger, { mutationId: bad.mutationId });
    if (when === 'since it was refused') await rig.push(author, [bad]);
    expect(await rig.push(stranger, [foreign])).toMatchObject([{ status: 'applied' }]);
    if (when === 'before it was refused') {
      expect(await rig.push(author, [bad])).toMatchObject([{ status: 'rejected' }]);
    }
    expect(await rig.push(author, [next])).toMatchObject([{ status: 'applied' }]);
  });
});
