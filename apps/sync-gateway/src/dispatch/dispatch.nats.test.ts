import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Responder } from '@sync/messaging';
import { type ExplainReply, subjects } from '@sync/protocol';
import type { Author } from '../push/outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../push/testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 700 });
});
afterAll(() => rig.stop());
beforeEach(async () => {
  await rig.owner.stop();
  rig.owner.start();
  await rig.nats.flush();
  rig.owner.mode = 'answers';
  rig.owner.projectsAtOnce = true;
  rig.owner.requests.length = 0;
});

describe('an owner that is down', () => {
  it('gets its mutations later, in order, once each; the device is told', async () => {
    const author = newAuthor();
    const device = `d:${author.deviceId}`;
    await rig.owner.stop();
    const first = mutationOf(author);
    const second = mutationOf(author, {
      entityId: first.entityId,
      op: 'patch',
      baseClock: { [device]: 1 },
      data: { percent: 60 },
    });
    expect((await rig.push(author, [first])).map(({ status }) => status)).toEqual(['accepted']);
    expect((await rig.push(author, [second])).map(({ status }) => status)).toEqual(['accepted']);
    expect(await rig.waiting(author)).toEqual([]);
    rig.owner.start();
    await rig.nats.flush();
    // The second must not overtake the first even though its owner answers now.
    const third = mutationOf(author, {
      entityId: first.entityId,
      op: 'patch',
      baseClock: { [device]: 2 },
      data: { percent: 70 },
    });
    expect((await rig.push(author, [third])).map(({ status }) => status)).toEqual(['accepted']);
    expect(await rig.dispatch(author)).toBe(3);
    expect(
      (await rig.waiting(author)).map(({ mutationId, status, clock }) => ({ mutationId, status, clock })),
    ).toEqual([
      { mutationId: first.mutationId, status: 'applied', clock: { [device]: 1 } },
      { mutationId: second.mutationId, status: 'applied', clock: { [device]: 2 } },
      { mutationId: third.mutationId, status: 'applied', clock: { [device]: 3 } },
    ]);
    expect(rig.told).toContainEqual(author);
    const again = await rig.push(author, [first, second]);
    expect(again.map(({ status }) => status)).toEqual(['applied', 'applied']);
    expect(await queued(author)).toBe(0);
  });

  it('holds back no other entity', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    const stuck = mutationOf(author);
    await rig.push(author, [stuck]);
    rig.owner.start();
    await rig.nats.flush();
    const outcomes = await rig.push(author, [
      mutationOf(author),
      mutationOf(author, { entityId: stuck.entityId }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'accepted']);
  });

  it('gets the time that the device’s offset gave when it came, however late', async () => {
    const author = newAuthor();
    const YEARS_MS = 10 * 365 * 86_400_000;
    const wrong = (agoMs: number): string => new Date(Date.now() + YEARS_MS - agoMs).toISOString();
    const mutation = mutationOf(author, { occurredAt: wrong(60_000) });
    const writtenMs = Date.now() - 60_000;
    await rig.owner.stop();
    expect(await rig.push(author, [mutation], wrong(0))).toMatchObject([{ status: 'accepted' }]);
    rig.owner.start();
    await rig.nats.flush();
    rig.owner.requests.length = 0;
    expect(await rig.dispatch(author)).toBe(1);
    const [sent] = rig.owner.requests.flat();
    expect(Math.abs(Date.parse(sent?.occurredAt ?? '') - writtenMs)).toBeLessThan(10_000);
  });

  it('that did the work but never said so is asked again and answers from its inbox', async () => {
    const author = newAuthor();
    rig.owner.mode = 'silent';
    const mutation = mutationOf(author);
    expect((await rig.push(author, [mutation])).map(({ status }) => status)).toEqual(['accepted']);
    rig.owner.mode = 'answers';
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toEqual([
      {
        ...{ mutationId: mutation.mutationId, status: 'applied', scope: mutation.scope },
        clock: { [`d:${author.deviceId}`]: 1 },
      },
    ]);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
  });

  it('is left alone by the breaker after five failures', async () => {
    const fresh = await startPushRig({ ownerTimeoutMs: 700 });
    try {
      await fresh.owner.stop();
      const author = newAuthor();
      for (let attempt = 0; attempt < 5; attempt += 1) await fresh.push(author, [mutationOf(author)]);
      fresh.owner.start();
      await fresh.nats.flush();
      expect(await fresh.push(author, [mutationOf(author)])).toMatchObject([{ status: 'accepted' }]);
      expect(fresh.owner.requests).toEqual([]);
    } finally {
      await fresh.stop();
    }
  });
});

describe('after a crash', () => {
  it('takes up what was received and never completed', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    await leavePending(author, mutation);
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([{ mutationId: mutation.mutationId, status: 'applied' }]);
  });

  it('answers accepted when such a mutation comes again before that', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    await leavePending(author, mutation);
    expect(await rig.push(author, [mutation])).toEqual([
      { mutationId: mutation.mutationId, status: 'accepted', scope: mutation.scope },
    ]);
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
  });

  it('stores nothing of an attempt that a newer one has replaced', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    const mutation = mutationOf(author);
    await rig.push(author, [mutation]);
    await due(author);
    await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query(`UPDATE mutation SET next_attempt_at = now() WHERE mutation_id = $1`, [mutation.mutationId]),
    );
    expect(await rig.store.load(author)).toMatchObject([{ attempts: 1 }]);
    const { mutationId } = mutation;
    const settlement = { kind: 'settled', status: 'rejected' } as const;
    const stale = { mutationId, address: null, counter: null, attempt: 0, fresh: false, settlement };
    const { texts } = await rig.ledger.complete(author, [stale], new Date().toISOString());
    expect(texts.get(mutationId)).toBe(`{"mutationId":"${mutationId}","status":"accepted"}`);
    expect(await rig.waiting(author)).toEqual([]);
  });

  it('gives a device to one dispatcher at a time', async () => {
    const author = newAuthor();
    await leavePending(author, mutationOf(author));
    await due(author);
    const taken = await Promise.all([rig.store.take(100), rig.store.take(100), rig.store.take(100)]);
    const mine = taken
      .flatMap(({ devices }) => devices)
      .filter(({ deviceId }) => deviceId === author.deviceId);
    expect(mine).toHaveLength(1);
  });
});

describe('what has changed since the mutation came', () => {
  it('refuses it when its scope is not held any more', async () => {
    const author = newAuthor();
    const scope = `course:${author.deviceId}`;
    await grant(author, scope, true);
    await rig.owner.stop();
    const mutation = mutationOf(author, { scope });
    await rig.push(author, [mutation]);
    await grant(author, scope, false);
    rig.owner.start();
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', current: { op: 'delete' } },
    ]);
  });

  it('asks for the registrations anew before it refuses a type that this replica does not know', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    await rig.push(author, [mutationOf(author)]);
    const type = rig.types.get('progress');
    if (!type) throw new Error('no such type');
    rig.types.delete('progress');
    rig.lateTypes.push(type);
    rig.owner.start();
    await rig.nats.flush();
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }]);
  });

  it('fails a dependant of what was rejected in the end', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    const bad = mutationOf(author, { data: { text: 'forbidden' } });
    const child = mutationOf(author, { dependsOn: [bad.mutationId] });
    await rig.push(author, [bad]);
    rig.owner.start();
    await rig.nats.flush();
    expect(await rig.push(author, [child])).toMatchObject([{ status: 'accepted' }]);
    expect(await rig.dispatch(author)).toBe(2);
    expect(await rig.waiting(author)).toMatchObject([{ code: 'forbidden' }, { code: 'dependency_failed' }]);
  });

  it('ends a mutation whose entity belongs to another scope, without showing it', async () => {
    const author = newAuthor();
    await rig.owner.change(author.tenantId, 'progress', 'hidden', {
      userId: 'somebody-else',
      lastPage: 'secret',
    });
    const explained: ExplainReply = {
      entity: {
        revision: 1,
        clock: { 's:learning': 1 },
        deleted: false,
        schemaVersion: 1,
        projectedAt: new Date().toISOString(),
        scopes: [{ scope: 'user:somebody-else', epoch: 'e', sequence: '1', headSequence: '1' }],
        grants: [],
      },
      deadLetter: null,
    };
    const projector = new Responder({
      nats: rig.nats,
      subject: subjects.explain,
      queue: 'p',
      handle: async () => explained,
      logger: silent,
    });
    await rig.nats.flush();
    const mutation = mutationOf(author, { entityId: 'hidden' });
    const behind = [1, 2].map(() => mutationOf(author, { entityId: 'hidden' }));
    expect(await rig.push(author, [mutation, ...behind])).toMatchObject(
      [1, 2, 3].map(() => ({ status: 'accepted' })),
    );
    for (let attempt = 0; attempt < 2; attempt += 1) expect(await rig.dispatch(author)).toBe(0);
    expect(await rig.dispatch(author)).toBe(1);
    // What waited behind it goes on without the pauses of a mutation that fails.
    for (const _one of behind) expect(await rig.dispatchDue(author)).toBe(1);
    await projector.stop();
    const outcomes = await rig.waiting(author);
    expect(outcomes).toMatchObject([
      { status: 'rejected', code: 'forbidden', current: { op: 'delete', clock: {} } },
      { status: 'rejected', code: 'forbidden' },
      { status: 'rejected', code: 'forbidden' },
    ]);
    expect(JSON.stringify(outcomes)).not.toContain('secret');
  });
});

it('waits for a deletion that the projector knows and the read model does not, however long', async () => {
  const author = newAuthor();
  const { tenantId, userId } = author;
  const entityId = `going-${author.deviceId}`;
  await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 10 });
  rig.owner.projectsAtOnce = false;
  await rig.owner.change(tenantId, 'progress', entityId, null);
  await sleep(10);
  const times = { schemaVersion: 1, projectedAt: new Date().toISOString(), grants: [], scopes: [] };
  const deleted = { revision: 2, clock: { 's:learning': 2 }, deleted: true, ...times };
  const projector = new Responder({
    nats: rig.nats,
    subject: subjects.explain,
    queue: 'p',
    handle: async (): Promise<ExplainReply> => ({ entity: deleted, deadLetter: null }),
    logger: silent,
  });
  await rig.nats.flush();
  const edit = { entityId, op: 'patch' as const, data: { percent: 20 }, baseClock: { 's:learning': 1 } };
  expect(await rig.push(author, [mutationOf(author, edit)])).toMatchObject([{ status: 'accepted' }]);
  for (let attempt = 1; attempt <= 4; attempt += 1) expect(await rig.dispatch(author)).toBe(0);
  await rig.owner.projectAll();
  expect(await rig.dispatch(author)).toBe(1);
  await projector.stop();
  expect(await rig.waiting(author)).toMatchObject([
    { status: 'merged', current: { data: { userId, percent: 20 } } },
  ]);
});

describe('an id that is taken where the user cannot see it', () => {
  it.each([
    ['a live one of somebody else', { clock: { 's:learning': 3, 'd:x': 4 }, revision: 7, deleted: false }],
    ['one that somebody else deleted', { clock: { 's:learning': 2 }, revision: 2, deleted: true }],
  ])('is refused in the same words: %s', async (_what, stored) => {
    const author = newAuthor();
    const entityId = `taken-${author.deviceId}`;
    const { tenantId, userId } = author;
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'progress', entityId, { userId: 'somebody-else' });
    const elsewhere = [{ scope: 'user:somebody-else', epoch: 'e', sequence: '1', headSequence: '1' }];
    const scopes = stored.deleted ? [] : elsewhere;
    const times = { schemaVersion: 1, projectedAt: new Date().toISOString(), grants: [] };
    const projector = new Responder({
      nats: rig.nats,
      subject: subjects.explain,
      queue: 'p',
      handle: async (): Promise<ExplainReply> => ({
        entity: { ...stored, ...times, scopes },
        deadLetter: null,
      }),
      logger: silent,
    });
    await rig.nats.flush();
    const mutation = mutationOf(author, { entityId });
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'accepted' }]);
    for (let attempt = 1; attempt <= 3; attempt += 1) await rig.dispatch(author);
    await projector.stop();
    expect(await rig.waiting(author)).toEqual([
      {
        mutationId: mutation.mutationId,
        status: 'rejected',
        scope: mutation.scope,
        code: 'forbidden',
        message: `/scope: user:${userId} does not have this entity`,
        conflictId: expect.any(String),
        current: {
          ...{ entityType: 'progress', entityId, op: 'delete', clock: {}, schemaVersion: 1, data: null },
          committedAt: expect.any(String),
        },
      },
    ]);
  });
});

describe('bounds', () => {
  it('refuses a device with too much unfinished work', async () => {
    const author = newAuthor();
    await rig.owner.stop();
    await rig.push(
      author,
      Array.from({ length: 50 }, () => mutationOf(author)),
    );
    await expect(rig.push(author, [mutationOf(author)])).rejects.toMatchObject({ code: 'rate_limited' });
  });
});

/** What a gateway leaves that dies between receiving and completing. */
async function leavePending(author: Author, mutation: ReturnType<typeof mutationOf>): Promise<void> {
  rig.owner.mode = 'deaf';
  const abandoned = rig.push(author, [mutation]);
  await sleep(50);
  await rig.test.database.inTenant(author.tenantId, (tx) =>
    // The push that is still under way loses its attempt, as if it had died.
    tx.query(`UPDATE mutation SET attempts = attempts + 1 WHERE mutation_id = $1`, [mutation.mutationId]),
  );
  await abandoned;
  rig.owner.mode = 'answers';
}

async function due({ tenantId, deviceId }: Author): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(`UPDATE dispatch_queue SET next_attempt_at = now() WHERE tenant_id = $1 AND device_id = $2`, [
      tenantId,
      deviceId,
    ]),
  );
}

async function queued({ tenantId, deviceId }: Author): Promise<number> {
  const rows = await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(`SELECT FROM dispatch_queue WHERE tenant_id = $1 AND device_id = $2`, [tenantId, deviceId]),
  );
  return rows.length;
}

async function grant({ tenantId, userId }: Author, scope: string, granted: boolean): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
        ingest_partition, ingest_number)
       VALUES ($1, $2, $3, 'enrollment', 'e', $4, 1, 0, 0)
       ON CONFLICT (tenant_id, user_id, scope, source_type, source_id) DO UPDATE SET granted = excluded.granted`,
      [tenantId, userId, scope, granted],
    ),
  );
}
