import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type EventDraft, incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';

let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
});
afterEach(() => rig.close());

const kinds = (outcomes: readonly { readonly kind: string }[]): string[] => outcomes.map(({ kind }) => kind);
const percent = (userId: string, value: number) => ({ userId, courseId: 'c1', percent: value });

describe('a batch of events', () => {
  it('becomes one delta per entity and scope, as devices get it', async () => {
    const events = incoming(
      { id: 'p1', revision: 1, data: percent('u1', 10) },
      { id: 'p1', revision: 2, data: percent('u1', 20), time: '2026-03-01T10:00:02Z' },
    );
    expect(kinds(await rig.project(events))).toEqual(['changed', 'changed']);
    const [batch, ...others] = await rig.deltaBatches();
    expect(others).toEqual([]);
    expect(batch?.deltas).toEqual([
      {
        tenantId: 't1',
        scope: 'user:u1',
        sequence: '1',
        entityType: 'progress',
        entityId: 'p1',
        revision: 2,
        deleted: false,
        clock: { 's:learning': 2 },
        fieldWrites: expect.objectContaining({
          percent: expect.objectContaining({ by: 's:learning', counter: 2 }),
        }),
        wire: {
          entityType: 'progress',
          entityId: 'p1',
          op: 'put',
          clock: { 's:learning': 2 },
          schemaVersion: 1,
          committedAt: '2026-03-01T10:00:02.000Z',
          data: percent('u1', 20),
        },
      },
    ]);
    expect(
      (await rig.syncEvents()).map(({ type, data }) => [type, data['fromSequence'], data['toSequence']]),
    ).toEqual([['sync.delta.projected.v1', '1', '1']]);
  });

  it('tells how late it is of events as they happen, not of a snapshot or a replay', async () => {
    const time = '2020-01-01T00:00:00.000Z';
    for (const mode of ['live', 'snapshot', 'replay'] as const)
      await rig.project(incoming({ id: mode, revision: 1, data: percent('u1', 1), time }), mode);
    const batches = await rig.deltaBatches();
    expect(batches.map(({ committedAt }) => committedAt)).toEqual([time, null, null]);
    const isLate = (await rig.syncEvents()).map(({ data }) => data['lagMs'] !== 0);
    expect(isLate).toEqual([true, false, false]);
    // Devices are told the time of each.
    expect(batches.map(({ deltas }) => deltas[0]?.wire.committedAt)).toEqual([time, time, time]);
  });

  it('costs three statements, however many events, scopes and tenants it has', async () => {
    const drafts = Array.from({ length: 300 }, (_, n) => ({
      tenant: `t${n % 3}`,
      id: `p${n}`,
      revision: 1,
      data: percent(`u${n % 50}`, n % 100),
    }));
    const before = rig.test.database.roundTrips;
    await rig.project(incoming(...drafts));
    // COMMIT is the other one.
    expect(rig.test.database.roundTrips - before).toBe(4);
  });

  it('reads the rows of its own entities and scopes, however many the tenant has', async () => {
    const { database } = rig.test;
    await database.inTenant('t1', async (tx) => {
      await tx.query(`INSERT INTO entity_head SELECT 't1', 'progress', 'p' || n, 1, 1, false,
        '{}', '{}', '{}', null, '{}', now(),
        now() FROM generate_series(1, 5000) n`);
      await tx.query(
        `INSERT INTO scope_head SELECT 't1', 'user:u' || n, 'e', 1, 1, 0 FROM generate_series(1, 5000) n`,
      );
    });
    const drafts = [1, 2, 3, 6_000].map((n) => ({ id: `p${n}`, revision: 2, data: percent(`u${n}`, 1) }));
    const read = await database.transaction(async (tx) => {
      await rig.projectIn(tx, incoming(...drafts));
      const [row] = await tx.query<{ rows: number }>(
        `SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int4 AS rows FROM pg_stat_xact_user_tables
         WHERE relname IN ('entity_head', 'scope_head')`,
      );
      return row?.rows ?? Infinity;
    });
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(40);
  });

  it('does nothing when all of it is known: repeated or older revisions', async () => {
    await rig.project(incoming({ id: 'p1', revision: 3, data: percent('u1', 30) }));
    const again = incoming(
      { id: 'p1', revision: 3, data: percent('u1', 30) },
      { id: 'p1', revision: 1, data: percent('u1', 99) },
      { id: 'p1', revision: 2, data: null },
    );
    expect(kinds(await rig.project(again))).toEqual(['stale', 'stale', 'stale']);
    expect(await rig.deltaBatches()).toHaveLength(1);
    expect(await rig.digestFromHeads('t1', 'user:u1')).toMatchObject({ count: 1 });
  });
});

describe('scopes', () => {
  it('are left with a delete and entered with a put when the entity moves', async () => {
    await rig.project(
      incoming({ type: 'bundle', id: 'b1', revision: 1, data: { courseId: 'c1', title: 'One' } }),
    );
    await rig.project(
      incoming({ type: 'bundle', id: 'b1', revision: 2, data: { courseId: 'c2', title: 'One' } }),
    );
    const deltas = (await rig.deltaBatches()).flatMap((batch) => batch.deltas);
    const seen = deltas.map(({ scope, sequence, wire }) => [scope, sequence, wire.op, wire.data]);
    expect(seen).toHaveLength(3);
    expect(seen).toContainEqual(['course:c1', '1', 'put', { courseId: 'c1', title: 'One' }]);
    expect(seen).toContainEqual(['course:c1', '2', 'delete', null]);
    expect(seen).toContainEqual(['course:c2', '1', 'put', { courseId: 'c2', title: 'One' }]);
    const model = await rig.readModel();
    expect(model.get('t1 course:c1')?.live.size).toBe(0);
    expect(model.get('t1 course:c2')?.live.size).toBe(1);
  });

  it('hear of the end of what came and went within one batch', async () => {
    await rig.project(
      incoming(
        { type: 'bundle', id: 'b1', revision: 1, data: { courseId: 'c1', title: 'x' } },
        { type: 'bundle', id: 'b1', revision: 2, data: { courseId: 'c2', title: 'x' } },
        { type: 'bundle', id: 'b2', revision: 1, data: { courseId: 'c1', title: 'x' } },
        { type: 'bundle', id: 'b2', revision: 2, data: null },
      ),
    );
    const deltas = (await rig.deltaBatches()).flatMap((batch) => batch.deltas);
    const left = deltas.filter(({ scope }) => scope === 'course:c1');
    expect(left).toMatchObject(['b1', 'b2'].map((id) => ({ entityId: id, clock: { 's:learning': 2 } })));
    expect(left.map(({ deleted }) => deleted)).toEqual([true, true]);
    expect(await rig.digestFromHeads('t1', 'course:c1')).toMatchObject({ count: 0 });
    expect((await rig.readModel()).get('t1 course:c2')?.live.size).toBe(1);
  });

  it('lose a deleted entity, and get it back when it is created again', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: percent('u1', 1) }));
    for (const revision of [2, 3]) await rig.project(incoming({ id: 'p1', revision, data: null }));
    const last = (await rig.deltaBatches()).flatMap((batch) => batch.deltas).at(-1);
    expect(last).toMatchObject({ revision: 3, deleted: true, clock: { 's:learning': 3 } });
    await rig.project(incoming({ id: 'p1', revision: 4, data: percent('u1', 3) }));
    const scope = (await rig.readModel()).get('t1 user:u1');
    expect(scope).toMatchObject({ sequence: '4', live: new Map([['progress p1', { 's:learning': 4 }]]) });
  });

  it('have heads whose digest is the one computed from all entity heads', async () => {
    for (let revision = 1; revision <= 4; revision += 1) {
      const drafts = Array.from({ length: 20 }, (_, n) => ({
        type: 'bundle',
        id: `b${n}`,
        revision,
        data:
          (n + revision) % 5 === 0 ? null : { courseId: `c${(n * revision) % 3}`, title: String(revision) },
      }));
      await rig.project(incoming(...drafts));
    }
    await rig.readModel();
    for (const scope of ['course:c0', 'course:c1', 'course:c2']) {
      const head = (await rig.deltaBatches())
        .flatMap((batch) => batch.scopes)
        .findLast((one) => one.scope === scope);
      const { count, hash } = await rig.digestFromHeads('t1', scope);
      expect(head).toMatchObject({ scope, count, hash });
    }
  });

  it('are evaluated on all data, although devices get only the registered fields', async () => {
    await rig.project(
      incoming({
        type: 'enrollment',
        id: 'e1',
        revision: 1,
        data: { userId: 'u1', courseId: 'c1', status: 'withdrawn', price: 9 },
      }),
    );
    const delta = (await rig.deltaBatches())[0]?.deltas[0];
    expect(delta?.scope).toBe('user:u1');
    expect(delta?.fieldWrites).toBeNull();
    expect(delta?.wire.data).toEqual({ courseId: 'c1', status: 'withdrawn' });
  });
});

describe('grants', () => {
  const enrollment = (revision: number, status: string, courseId = 'c1') =>
    incoming({ type: 'enrollment', id: 'e1', revision, data: { userId: 'u1', courseId, status } });

  it('come and go with the data, in the partition of the user, and are told', async () => {
    await rig.project(enrollment(1, 'active'));
    await rig.project(enrollment(2, 'completed'));
    await rig.project(enrollment(3, 'withdrawn'));
    const grants = (await rig.deltaBatches()).flatMap((batch) => batch.grants);
    const source = {
      tenantId: 't1',
      userId: 'u1',
      scope: 'course:c1',
      sourceType: 'enrollment',
      sourceId: 'e1',
    };
    expect(grants).toEqual([
      { ...source, granted: true, revision: 1 },
      { ...source, granted: false, revision: 3 },
    ]);
    const told = (await rig.syncEvents()).filter(({ type }) => type.startsWith('sync.scope.'));
    expect(told.map(({ type, userid, data }) => [type, userid, data['scope']])).toEqual([
      ['sync.scope.granted.v1', 'u1', 'course:c1'],
      ['sync.scope.revoked.v1', 'u1', 'course:c1'],
    ]);
  });

  it('move with their entity', async () => {
    await rig.project(enrollment(1, 'active', 'c1'));
    await rig.project(enrollment(2, 'active', 'c2'));
    const grants = (await rig.deltaBatches()).flatMap((batch) => batch.grants);
    expect(grants.map(({ scope, granted }) => [scope, granted])).toEqual([
      ['course:c1', true],
      ['course:c1', false],
      ['course:c2', true],
    ]);
  });
});

describe('a document', () => {
  it('goes out as a merge with its update, not as a field', async () => {
    await rig.project(
      incoming({
        type: 'document',
        id: 'd1',
        revision: 1,
        data: { courseId: 'c1', title: 'T', body: 'AAA=' },
      }),
    );
    const wire = (await rig.deltaBatches())[0]?.deltas[0]?.wire;
    expect(wire).toMatchObject({ op: 'merge', update: 'AAA=', data: { courseId: 'c1', title: 'T' } });
    expect(wire?.data).not.toHaveProperty('body');
  });

  it('has each of its increments go out, in order, with a head and a digest as after the last', async () => {
    await rig.project(
      incoming(
        page(1, 'AAAA'),
        { type: 'bundle', id: 'b1', revision: 1, data: { courseId: 'c1', title: 'x' } },
        increment(2, 'BBBB'),
        increment(3, 'CCCC'),
      ),
    );
    await rig.project(incoming(increment(4, 'DDDD'), increment(5, 'EEEE')));
    const batches = await rig.deltaBatches();
    const seen = batches.flatMap(({ deltas }) =>
      deltas.map(({ document, revision, wire }) => [document, revision, wire.update]),
    );
    expect(seen).toEqual([
      ['whole', 1, 'AAAA'],
      [undefined, 1, undefined],
      ['increment', 2, 'BBBB'],
      ['increment', 3, 'CCCC'],
      ['increment', 4, 'DDDD'],
      ['increment', 5, 'EEEE'],
    ]);
    expect(batches.flatMap(({ scopes }) => scopes.map(({ documents }) => documents))).toEqual([true, true]);
    expect((await rig.readModel()).get('t1 course:c1')).toMatchObject({ sequence: '6' });
    const [head] = batches.flatMap(({ scopes }) => scopes).slice(-1);
    expect(head).toMatchObject(await rig.digestFromHeads('t1', 'course:c1'));
    expect(await rig.rows('t1', `SELECT revision FROM entity_head WHERE entity_id = 'd1'`)).toEqual([
      { revision: '5' },
    ]);
  });

  it('goes out whole where the batch has it whole, without what that says already', async () => {
    await rig.project(incoming(page(1, 'AAAA')));
    await rig.project(incoming(increment(2, 'BBBB'), page(3, 'CCCC'), increment(4, 'DDDD')));
    await rig.project(incoming(increment(5, 'EEEE'), { ...page(6, ''), data: null }));
    const seen = (await rig.deltaBatches()).flatMap(({ deltas }) =>
      deltas.map(({ document, revision, wire }) => [document, revision, wire.op]),
    );
    expect(seen).toEqual([
      ['whole', 1, 'merge'],
      ['whole', 3, 'merge'],
      ['increment', 4, 'merge'],
      ['whole', 6, 'delete'],
    ]);
    await rig.readModel();
  });
});

const page = (revision: number, body: string, courseId = 'c1'): EventDraft => {
  return { type: 'document', id: 'd1', revision, data: { courseId, title: 'T', body } };
};
const increment = (revision: number, body: string, courseId = 'c1'): EventDraft => {
  return { ...page(revision, body, courseId), more: { docstate: 'increment' } };
};

describe('tenants', () => {
  it('have their own scopes of the same name, and see nothing of each other', async () => {
    await rig.project(
      incoming(
        { tenant: 't1', id: 'p1', revision: 1, data: percent('u1', 1) },
        { tenant: 't2', id: 'p1', revision: 1, data: percent('u1', 2) },
      ),
    );
    const model = await rig.readModel();
    expect(model.get('t1 user:u1')?.sequence).toBe('1');
    expect(model.get('t2 user:u1')?.sequence).toBe('1');
    expect(await rig.rows('t1', 'SELECT tenant_id FROM entity_head')).toEqual([{ tenant_id: 't1' }]);
    expect(await rig.test.database.call('all', 'SELECT 1 FROM entity_head', [])).toEqual([]);
  });
});

describe('several partitions at once', () => {
  it('give one scope gapless positions, in commit order, without losing a batch to deadlock', async () => {
    const scopesOf = (n: number): string => `c${n % 4}`;
    const lanes = [0, 1, 2, 3].map(async (lane) => {
      for (let round = 0; round < 15; round += 1) {
        const drafts = Array.from({ length: 12 }, (_, n) => ({
          type: 'bundle',
          // Each lane has its own entities, as partitions have; all of them meet in the same four scopes, in another order.
          id: `b${lane}-${(n + round) % 9}`,
          revision: round + 1,
          data: { courseId: scopesOf(n * (lane + 1) + round), title: `${round}` },
        }));
        await rig.project(incoming(...drafts));
      }
    });
    await Promise.all(lanes);
    // Throws on any gap, any message that is not complete in itself, any wrong digest.
    const model = await rig.readModel();
    for (const [key, { live }] of model) {
      const [tenant = '', scope = ''] = key.split(' ');
      expect(await rig.digestFromHeads(tenant, scope)).toMatchObject({ count: live.size });
    }
    expect(model.size).toBe(4);
  });

  it('project an entity once when two of them create it together', async () => {
    const create = (revision: number) =>
      rig.project(incoming({ id: 'p1', revision, data: percent('u1', revision) }));
    await Promise.all([create(1), create(2), create(3), create(4)]);
    const model = await rig.readModel();
    expect(model.get('t1 user:u1')?.live).toEqual(new Map([['progress p1', { 's:learning': 4 }]]));
  });
});

describe('the outbox', () => {
  it('gets messages of at most 500 deltas, each complete in itself', async () => {
    const drafts = Array.from({ length: 1_200 }, (_, n) => ({
      type: 'bundle',
      id: `b${n}`,
      revision: 1,
      data: { courseId: 'c1', title: `Bundle ${n}` },
    }));
    await rig.project(incoming(...drafts));
    const batches = await rig.deltaBatches();
    expect(batches.map((batch) => batch.deltas.length)).toEqual([500, 500, 200]);
    expect((await rig.readModel()).get('t1 course:c1')?.live.size).toBe(1_200);
  });

  it('gets messages of about 512 KiB at most', async () => {
    const drafts = Array.from({ length: 5 }, (_, n) => ({
      type: 'bundle',
      id: `b${n}`,
      revision: 1,
      data: { courseId: 'c1', title: 'x'.repeat(200_000) },
    }));
    await rig.project(incoming(...drafts));
    expect((await rig.deltaBatches()).map((batch) => batch.deltas.length)).toEqual([2, 2, 1]);
    await rig.readModel();
  });
});
