import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Tx } from '@sync/postgres';
import { type EventDraft, incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';

let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
});
afterEach(() => rig.close());

const progress = (id: string, revision: number, percent = revision): EventDraft => {
  return { id, revision, data: { userId: 'u1', courseId: 'c1', percent } };
};
const kinds = (outcomes: readonly { kind: string }[]): string[] => outcomes.map(({ kind }) => kind);

/** Projects in a transaction, and says which statements that took. */
async function statementsOf(drafts: readonly EventDraft[], mode: 'live' | 'snapshot'): Promise<string[]> {
  const names: string[] = [];
  await rig.test.database.transaction((tx) => {
    const seen: Tx = {
      query: (text, values) => tx.query(text, values),
      manager: tx.manager,
      call: (name, text, values) => {
        names.push(name);
        return tx.call(name, text, values);
      },
    };
    return rig.projectIn(seen, incoming(...drafts), mode);
  });
  return names;
}

describe('entities that begin in a batch', () => {
  it('are written without looking for them, and others beside them are looked for', async () => {
    const created = ['create_heads', 'move_scopes', 'sync_append_outbox_rows'];
    expect(await statementsOf([progress('p1', 1), progress('p1', 2), progress('p2', 1)], 'live')).toEqual(
      created,
    );
    expect(await statementsOf([progress('p1', 3), progress('p3', 1)], 'live')).toEqual([
      'load_heads',
      'create_heads',
      'update_heads',
      ...created.slice(1),
    ]);
    const heads = await rig.rows('t1', 'SELECT entity_id, revision FROM entity_head ORDER BY entity_id');
    expect(heads).toEqual([
      { entity_id: 'p1', revision: '3' },
      { entity_id: 'p2', revision: '1' },
      { entity_id: 'p3', revision: '1' },
    ]);
    expect((await rig.readModel()).get('t1 user:u1')).toMatchObject({ sequence: '4' });
  });

  it('are looked for where a snapshot brings them, which mostly are there', async () => {
    expect((await statementsOf([progress('p1', 1)], 'snapshot')).slice(0, 2)).toEqual([
      'load_heads',
      'create_heads',
    ]);
  });

  it('are projected once where one of them comes again, beside one that is new', async () => {
    await rig.project(incoming(progress('p1', 1), progress('p2', 1), progress('p2', 2)));
    const again = incoming(progress('p1', 1), progress('p2', 1), progress('p3', 1), progress('p1', 2));
    expect(kinds(await rig.project(again))).toEqual(['stale', 'stale', 'changed', 'changed']);
    expect((await rig.readModel()).get('t1 user:u1')).toMatchObject({ sequence: '4' });
    expect(await rig.digestFromHeads('t1', 'user:u1')).toMatchObject({ count: 3 });
  });

  it('wait where they are quarantined, and hold back nobody else', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: { percent: 1 } }));
    const outcomes = await rig.project(incoming(progress('p1', 1, 5), progress('p2', 1)));
    expect(outcomes).toMatchObject([{ kind: 'refused', code: 'entity_quarantined' }, { kind: 'changed' }]);
    expect(await rig.rows('t1', 'SELECT entity_id FROM entity_head')).toEqual([{ entity_id: 'p2' }]);
  });

  it('keep all that a head has: data, writers, grants, and where they were deleted', async () => {
    const enrollment = { userId: 'u1', courseId: 'c1', status: 'active' };
    await rig.project(
      incoming(progress('p1', 1), { id: 'p1', revision: 2, data: null }, progress('p2', 1), {
        type: 'enrollment',
        id: 'e1',
        revision: 1,
        data: enrollment,
      }),
    );
    const heads = await rig.rows(
      't1',
      `SELECT entity_id, deleted, last_data, scopes, left_scopes, grants, field_writes IS NULL AS "hasNoWriters",
         clock FROM entity_head ORDER BY entity_id`,
    );
    const last = (percent: number) => ({ userId: 'u1', courseId: 'c1', percent });
    const none = { left_scopes: null, grants: null };
    expect(heads).toEqual([
      {
        ...{ entity_id: 'e1', deleted: false, last_data: null, scopes: ['user:u1'], left_scopes: null },
        ...{ grants: [{ scope: 'course:c1', userId: 'u1' }], hasNoWriters: true },
        clock: { 's:learning': 1 },
      },
      {
        ...{
          ...none,
          entity_id: 'p1',
          deleted: true,
          last_data: last(1),
          scopes: [],
          left_scopes: ['user:u1'],
        },
        ...{ hasNoWriters: false, clock: { 's:learning': 2 } },
      },
      {
        ...{ ...none, entity_id: 'p2', deleted: false, last_data: last(1), scopes: ['user:u1'] },
        ...{ hasNoWriters: false, clock: { 's:learning': 1 } },
      },
    ]);
  });
});

describe('an entity of which a later revision comes first', () => {
  it('starts over when somebody else has created it between look-up and write', async () => {
    const { database } = rig.test;
    // The tenant is known then, and nobody waits for whoever notes it.
    await rig.project(incoming(progress('p0', 1)));
    const late = database.transaction((tx) => {
      const slow: Tx = {
        query: (text, values) => tx.query(text, values),
        manager: tx.manager,
        call: async (name, text, values) => {
          const rows = await tx.call<never>(name, text, values);
          if (name === 'load_heads') await rig.project(incoming(progress('p1', 1)));
          return rows;
        },
      };
      return rig.projectIn(slow, incoming(progress('p1', 2)));
    });
    await expect(late).rejects.toMatchObject({ code: '40001' });
    const model = await rig.readModel();
    const clock = { 's:learning': 1 };
    expect(model.get('t1 user:u1')?.live).toEqual(
      new Map([
        ['progress p0', clock],
        ['progress p1', clock],
      ]),
    );
  });
});
