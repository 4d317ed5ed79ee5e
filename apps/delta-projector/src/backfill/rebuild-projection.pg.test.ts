import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { RebuildProjection } from './rebuild-projection.ts';

let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
});
afterEach(() => rig.close());

const bundle = (id: string) =>
  incoming({ type: 'bundle', id, revision: 1, data: { courseId: 'c1', title: id } });

/** Resolves when a transaction of this database waits for a lock. */
async function untilWaiting(): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`;
  while ((await rig.test.database.call('waiting', waiting, [])).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('a rebuild brings back what is created while it begins', async () => {
  const rebuild = new RebuildProjection(rig.test.database, 'main', () => undefined);
  await rig.project(bundle('b1'));
  let rebuilt: Promise<unknown> = Promise.resolve();
  await rig.test.database.transaction(async (tx) => {
    await rig.projectIn(tx, bundle('b2'));
    rebuilt = rebuild.answer({ tenantId: 't1' });
    await untilWaiting();
  });
  await rebuilt;
  await rig.project([...bundle('b1'), ...bundle('b2')], 'snapshot');
  const head = (await rig.deltaBatches()).flatMap(({ scopes }) => scopes).at(-1);
  const { count, hash } = await rig.digestFromHeads('t1', 'course:c1');
  expect(head).toMatchObject({ scope: 'course:c1', sequence: '2', count: 2 });
  expect(head).toMatchObject({ count, hash });
});
