import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ConflictSeen } from '@sync/protocol';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = true;
  rig.owner.requests.length = 0;
});

const later = (ms: number): string => new Date(Date.now() + ms).toISOString();

describe('an owner that is ahead of the read model', () => {
  it('gets a clean mutation again at its revision', async () => {
    const author = newAuthor();
    rig.owner.projectsAtOnce = false;
    const first = mutationOf(author);
    await rig.push(author, [first]);
    const second = mutationOf(author, {
      entityId: first.entityId,
      op: 'patch',
      baseClock: { [`d:${author.deviceId}`]: 1 },
    });
    const [outcome] = await rig.push(author, [second]);
    expect(outcome).toEqual({
      mutationId: second.mutationId,
      scope: second.scope,
      status: 'applied',
      clock: { [`d:${author.deviceId}`]: 2 },
    });
    expect(rig.owner.requests.map(([mutation]) => mutation?.expectedRevision)).toEqual([0, 1]);
    await rig.owner.projectAll();
  });

  it('is waited for when the change is concurrent, and decided on what the projection shows', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'progress', 'behind', { userId, percent: 1, lastPage: 'a' });
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'progress', 'behind', { userId, percent: 1, lastPage: 'b' });
    const mutation = mutationOf(author, {
      entityId: 'behind',
      op: 'patch',
      baseClock: { 's:learning': 1 },
      data: { percent: 50 },
    });
    const pushed = rig.push(author, [mutation]);
    setTimeout(() => void rig.owner.projectAll(), 60);
    const [outcome] = await pushed;
    expect(outcome).toMatchObject({
      status: 'merged',
      current: { op: 'put', data: { percent: 50, lastPage: 'b' } },
    });
    expect(rig.owner.entity(tenantId, 'progress', 'behind')?.data).toEqual({
      userId,
      percent: 50,
      lastPage: 'b',
    });
    await rig.owner.projectAll();
  });

  it('leaves the mutation accepted when the projection does not come', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'progress', 'late', { userId, percent: 1 });
    const mutation = mutationOf(author, { entityId: 'late', data: { userId, percent: 50 } });
    expect(await rig.push(author, [mutation])).toEqual([
      { mutationId: mutation.mutationId, status: 'accepted', retryAfterMs: 500, scope: mutation.scope },
    ]);
    await rig.owner.projectAll();
    expect(await rig.dispatch(author)).toBe(1);
    expect((await rig.waiting(author))[0]?.status).toMatch(/merged|superseded/);
  });
});

describe('concurrent changes', () => {
  it('lww: disjoint fields both survive', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'progress', 'disjoint', { userId, percent: 1 });
    await rig.owner.change(tenantId, 'progress', 'disjoint', { userId, percent: 1, score: 5 });
    const [outcome] = await rig.push(author, [
      mutationOf(author, {
        entityId: 'disjoint',
        op: 'patch',
        baseClock: { 's:learning': 1 },
        data: { percent: 40 },
      }),
    ]);
    expect(outcome).toMatchObject({
      status: 'merged',
      clock: { 's:learning': 2, [`d:${author.deviceId}`]: 1 },
      current: { op: 'put', data: { userId, percent: 40, score: 5 }, clock: { 's:learning': 2 } },
    });
    // What the decision says of writers goes to the owner; of a clean mutation it says nothing that is not in
    // it.
    const by = `d:${author.deviceId}`;
    const sent = rig.owner.requests.flat().map(({ fieldWrites }) => fieldWrites);
    expect(sent).toEqual([{ percent: { atMs: expect.any(Number), by, counter: 1 } }]);
  });

  it('lww: a write that repeats the present value counts, so that the order of arrival does not', async () => {
    const ends = (['repeats', 'changes'] as const).map(async (first) => {
      const [author, other] = [newAuthor(), newAuthor()];
      const { tenantId, userId } = author;
      const entityId = `repeated-${author.deviceId}`;
      await rig.owner.change(tenantId, 'progress', entityId, { courseId: 'c', userId, percent: 1 });
      const base = { entityId, op: 'patch' as const, baseClock: { 's:learning': 1 } };
      // Both are later than what they have seen, and the one that repeats is the later one.
      const changes = mutationOf(author, { ...base, data: { percent: 2 }, occurredAt: later(100) });
      const repeats = mutationOf(author, { ...base, data: { percent: 1 }, occurredAt: later(200) });
      await new Promise((resolve) => setTimeout(resolve, 300));
      const pushChange = (): Promise<unknown> => rig.push(author, [changes]);
      const pushRepeat = (): Promise<unknown> => rig.push({ ...other, tenantId, userId }, [repeats]);
      if (first === 'repeats') await pushRepeat().then(pushChange);
      else await pushChange().then(pushRepeat);
      return rig.owner.entity(tenantId, 'progress', entityId)?.data?.['percent'];
    });
    expect(await Promise.all(ends)).toEqual([1, 1]);
  });

  it('lww: the earlier write of one field loses, is shown the newer one and kept in a record', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'progress', 'older', { userId, percent: 1 });
    await rig.owner.change(tenantId, 'progress', 'older', { userId, percent: 90 });
    const mutation = mutationOf(author, {
      entityId: 'older',
      op: 'patch',
      baseClock: { 's:learning': 1 },
      data: { percent: 20 },
      occurredAt: later(-60_000),
    });
    const [outcome] = await rig.push(author, [mutation]);
    expect(outcome).toMatchObject({ status: 'superseded', current: { data: { percent: 90 } } });
    const [record] = (await rig.syncEvents()).filter(
      ({ type, deviceid }) => type === 'sync.conflict.resolved.v1' && deviceid === author.deviceId,
    );
    const seen = record?.data as ConflictSeen;
    expect(seen).toMatchObject({
      conflictId: outcome?.conflictId,
      status: 'auto_resolved',
      mutationId: mutation.mutationId,
    });
    expect(seen.draft).toMatchObject({ theirs: { percent: 20 }, ours: { percent: 90 } });
    expect(rig.owner.requests).toEqual([]);
  });

  it('server_authoritative: rejects and records', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'enrollment', 'e1', { userId, status: 'active' });
    const mutation = mutationOf(author, {
      entityType: 'enrollment',
      entityId: 'e1',
      data: { userId, status: 'completed' },
    });
    const [outcome] = await rig.push(author, [mutation]);
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'server_changed',
      current: { data: { status: 'active' } },
    });
    expect(outcome?.conflictId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('review: holds a collision for a person and leaves the server’s value', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'note', 'n1', { userId, text: 'a' });
    await rig.owner.change(tenantId, 'note', 'n1', { userId, text: 'b' });
    const [outcome] = await rig.push(author, [
      mutationOf(author, {
        entityType: 'note',
        entityId: 'n1',
        baseClock: { 's:learning': 1 },
        data: { userId, text: 'c' },
      }),
    ]);
    expect(outcome).toMatchObject({ status: 'conflict', current: { data: { text: 'b' } } });
    expect(rig.owner.entity(tenantId, 'note', 'n1')?.data).toEqual({ userId, text: 'b' });
    const detected = (await rig.syncEvents()).find((event) => event.type === 'sync.conflict.detected.v1');
    expect(detected?.data).toMatchObject({ conflictId: outcome?.conflictId, status: 'open' });
  });

  it('decides a long chain on what it will have become, in one request', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const device = `d:${author.deviceId}`;
    await rig.owner.change(tenantId, 'progress', 'chain', { userId, percent: 1 });
    await rig.owner.change(tenantId, 'progress', 'chain', { userId, percent: 1, score: 3 });
    const chain = Array.from({ length: 20 }, (_, index) =>
      mutationOf(author, {
        entityId: 'chain',
        op: 'patch',
        baseClock: { 's:learning': 1, ...(index === 0 ? {} : { [device]: index }) },
        data: { percent: index },
      }),
    );
    const outcomes = await rig.push(author, chain);
    expect(outcomes.map(({ status }) => status)).toEqual(chain.map(() => 'merged'));
    expect(rig.owner.requests).toHaveLength(1);
    expect(outcomes.at(-1)).toMatchObject({
      clock: { 's:learning': 2, [device]: 20 },
      current: { data: { userId, percent: 19, score: 3 } },
    });
    expect(rig.owner.entity(tenantId, 'progress', 'chain')?.data).toEqual({ userId, percent: 19, score: 3 });
  });

  it('plans again what stood on a rejected change', async () => {
    const author = newAuthor();
    const device = `d:${author.deviceId}`;
    const { userId } = author;
    const chain = [{ userId, text: 'ok' }, { text: 'forbidden' }, { percent: 3 }, { percent: 4 }].map(
      (data, index) =>
        mutationOf(author, {
          entityId: `mixed-${author.deviceId}`,
          op: index === 0 ? 'put' : 'patch',
          baseClock: index === 0 ? {} : { [device]: index },
          data,
        }),
    );
    const outcomes = await rig.push(author, chain);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'rejected', 'applied', 'applied']);
    expect(outcomes[1]?.current).toMatchObject({ op: 'put', data: { text: 'ok' }, clock: { [device]: 1 } });
    expect(outcomes[3]?.clock).toEqual({ [device]: 4 });
    expect(rig.owner.requests).toHaveLength(2);
  });
});

describe('current', () => {
  it('stands on every terminal outcome but applied, and is the stored text', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'progress', 'shown', { userId, percent: 1 });
    const [stored] = await rig.test.database.inTenant(tenantId, (tx) =>
      tx.query<{ wire: string }>(`SELECT wire FROM scope_delta WHERE entity_id = 'shown'`),
    );
    const [text] = await rig.pushTexts(author, [mutationOf(author, { entityId: 'shown', op: 'append' })]);
    expect(text).toContain(`"current":${stored?.wire ?? 'missing'}`);
  });

  it('is read for a refused append, which was decided without looking', async () => {
    const author = newAuthor();
    const append = mutationOf(author, {
      entityType: 'statement',
      entityId: 's1',
      op: 'append',
      data: { userId: author.userId, verb: 'did' },
    });
    await rig.push(author, [append]);
    const [outcome] = await rig.push(
      author,
      [mutationOf(author, { ...append, mutationId: undefined as never })].map((again) => ({
        ...again,
        mutationId: '0190d0de-0000-4000-8000-000000000001',
      })),
    );
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'entity_exists',
      current: { data: { verb: 'did' } },
    });
  });
});
