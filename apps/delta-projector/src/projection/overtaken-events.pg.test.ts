import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type EventDraft, incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';

/** Events of one entity that come the other way round: a deletion, or a move, takes another partition. */
let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
});
afterEach(() => rig.close());

const CREATED = { id: 'p1', revision: 1, data: { userId: 'u1', courseId: 'c1', percent: 1 } };
const DELETED = { id: 'p1', revision: 2, data: null };
const bundle = (revision: number, courseId: string): EventDraft => {
  return { type: 'bundle', id: 'b1', revision, data: { courseId, title: 'x' } };
};

async function deltasOf(scope: string): Promise<unknown[]> {
  const deltas = (await rig.deltaBatches()).flatMap((batch) => batch.deltas);
  return deltas
    .filter((delta) => delta.scope === scope)
    .map(({ revision, deleted, sequence }) => ({ revision, deleted, sequence }));
}

describe('a creation that its deletion has overtaken', () => {
  it.each([
    ['in another batch', [[DELETED], [CREATED]]],
    ['in the same batch', [[DELETED, CREATED]]],
  ])('tells its scope of the deletion, %s', async (_how, batches) => {
    for (const batch of batches) await rig.project(incoming(...batch));
    expect(await deltasOf('user:u1')).toEqual([{ revision: 2, deleted: true, sequence: '1' }]);
    expect(await rig.digestFromHeads('t1', 'user:u1')).toMatchObject({ count: 0 });
    await rig.readModel();
  });

  it('is told of once, and of a second deletion its scope hears as well', async () => {
    for (const draft of [DELETED, CREATED, CREATED]) await rig.project(incoming(draft));
    await rig.project(incoming({ ...DELETED, revision: 3 }));
    expect(await deltasOf('user:u1')).toEqual([
      { revision: 2, deleted: true, sequence: '1' },
      { revision: 3, deleted: true, sequence: '2' },
    ]);
  });

  it('is what was deleted, for edits that bring it back', async () => {
    for (const draft of [DELETED, CREATED]) await rig.project(incoming(draft));
    const [head] = await rig.test.database.inTenant('t1', (tx) =>
      tx.query<{ last_data: unknown; left_scopes: string[] }>(
        'SELECT last_data, left_scopes FROM entity_head',
      ),
    );
    expect(head).toEqual({ last_data: CREATED.data, left_scopes: ['user:u1'] });
  });

  it('that a snapshot shows is known from its events', async () => {
    await rig.project(incoming(DELETED));
    await rig.project(incoming(CREATED), 'snapshot');
    expect(await deltasOf('user:u1')).toEqual([]);
  });
});

describe('a state in another scope that a later one has overtaken', () => {
  it('tells its scope that the entity is not there, and the others nothing', async () => {
    await rig.project(incoming(bundle(2, 'c2')));
    await rig.project(incoming(bundle(1, 'c1')));
    expect(await deltasOf('course:c1')).toEqual([{ revision: 2, deleted: true, sequence: '1' }]);
    expect(await deltasOf('course:c2')).toEqual([{ revision: 2, deleted: false, sequence: '1' }]);
    const model = await rig.readModel();
    expect([model.get('t1 course:c1')?.live.size, model.get('t1 course:c2')?.live.size]).toEqual([0, 1]);
  });
});
