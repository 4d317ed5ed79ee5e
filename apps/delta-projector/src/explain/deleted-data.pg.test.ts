import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLogger } from '@sync/service-kit';
import { deletionPruning } from '../projection/forget-deleted.ts';
import { incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { answerDeletedData } from './deleted-data.ts';

let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
});
afterEach(() => rig.close());

const progress = (userId: string, percent: number, text = '') => ({ userId, courseId: 'c1', percent, text });

const ask = async (...entityIds: string[]): Promise<unknown> => {
  const entities = entityIds.map((entityId) => ({ entityType: 'progress', entityId }));
  return (await answerDeletedData(rig.test.database, { tenantId: 't1', entities })).entities;
};

describe('what was deleted', () => {
  it('is told as devices saw it last, in the order in which it was asked for', async () => {
    await rig.project(
      incoming(
        { id: 'p1', revision: 1, data: progress('u1', 10) },
        { id: 'p1', revision: 2, data: progress('u1', 20) },
        { id: 'p1', revision: 3, data: null },
        { id: 'p2', revision: 1, data: progress('u1', 30) },
      ),
    );
    expect(await ask('p1', 'p2', 'p3')).toEqual([
      { revision: 3, data: progress('u1', 20) },
      { revision: 1, data: null },
      { revision: null, data: null },
    ]);
    expect(await ask('p2', 'p1')).toEqual([
      { revision: 1, data: null },
      { revision: 3, data: progress('u1', 20) },
    ]);
    const other = { tenantId: 't2', entities: [{ entityType: 'progress', entityId: 'p1' }] };
    expect(await answerDeletedData(rig.test.database, other)).toEqual({
      entities: [{ revision: null, data: null }],
    });
    await rig.project(incoming({ id: 'p1', revision: 4, data: progress('u1', 0) }));
    expect(await ask('p1')).toEqual([{ revision: 4, data: null }]);
  });

  it('is not told where the entity was elsewhere in between: its first scope never saw that', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress('u1', 10) }));
    await rig.project(
      incoming({ id: 'p1', revision: 2, data: progress('u2', 20) }, { id: 'p1', revision: 3, data: null }),
    );
    expect(await ask('p1')).toEqual([{ revision: 3, data: null }]);
  });

  it('comes in more than one answer where it is much', async () => {
    const long = 'x'.repeat(300_000);
    const entityIds = ['p1', 'p2', 'p3'];
    for (const id of entityIds) {
      await rig.project(incoming({ id, revision: 1, data: progress('u1', 10, long) }));
      await rig.project(incoming({ id, revision: 2, data: null }));
    }
    expect(await ask(...entityIds)).toHaveLength(1);
    expect(await ask('unknown', ...entityIds)).toHaveLength(2);
  });

  it('is forgotten in time, and only what is deleted still', async () => {
    const { database } = rig.test;
    const entityIds = ['old', 'young', 'again', 'twice'];
    for (const id of entityIds) await rig.project(incoming({ id, revision: 1, data: progress('u1', 10) }));
    for (const id of entityIds) await rig.project(incoming({ id, revision: 2, data: null }));
    await database.inTenant('t1', (tx) =>
      tx.query(
        `UPDATE deletion SET deleted_at = now() - interval '30 days 1 second' WHERE entity_id <> 'young'`,
      ),
    );
    await rig.project(
      incoming(
        { id: 'again', revision: 3, data: progress('u1', 20) },
        { id: 'twice', revision: 3, data: progress('u1', 30) },
      ),
    );
    await rig.project(incoming({ id: 'twice', revision: 4, data: null }));
    const logger = createLogger({ service: 'test', level: 'silent' });
    expect(await deletionPruning(database, 31, logger).prune()).toBe(0);
    expect(await ask('old')).toEqual([{ revision: 2, data: progress('u1', 10) }]);
    await deletionPruning(database, 30, logger).prune();
    expect(await ask(...entityIds)).toEqual([
      { revision: 2, data: null },
      { revision: 2, data: progress('u1', 10) },
      { revision: 3, data: null },
      { revision: 4, data: progress('u1', 30) },
    ]);
    await rig.project(incoming({ id: 'again', revision: 4, data: null }));
    expect(await ask('again')).toEqual([{ revision: 4, data: progress('u1', 20) }]);
  });

  it('is refused where the question is none', async () => {
    await expect(
      answerDeletedData(rig.test.database, { tenantId: 't1', entities: [] }),
    ).rejects.toMatchObject({
      code: 'schema_invalid',
    });
  });
});
