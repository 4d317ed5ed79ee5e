import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RegisteredEntityType } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { listDeadLetters } from './list-dead-letters.ts';
import { countQuarantined } from './prune-dead-letters.ts';
import { ReplayDeadLetters } from './replay-dead-letters.ts';
import { RetryDeadLetters } from './retry-dead-letters.ts';

let rig: ProjectorRig;
let replay: ReplayDeadLetters;
beforeEach(async () => {
  rig = await ProjectorRig.open();
  replay = new ReplayDeadLetters(rig.asking, rig.projection, () => undefined);
});
afterEach(() => rig.close());

const progress = (userId: unknown, value = 1) => ({ userId, courseId: 'c1', percent: value });
const list = (more: object = {}) =>
  listDeadLetters(rig.test.database, { tenantId: 't1', cursor: null, limit: 50, ...more });
const live = async (scope = 't1 user:u1') => [...((await rig.readModel()).get(scope)?.live.keys() ?? [])];

describe('a replay', () => {
  const REPAIRED: RegisteredEntityType = {
    service: 'learning',
    entityType: 'progress',
    schemaVersion: 1,
    policy: 'lww',
    projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'] },
  };

  it('projects in order what its cause has left, and lifts the quarantine', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress(null, 1) }));
    await rig.project(incoming({ id: 'p1', revision: 2, data: progress(null, 2) }));
    rig.types.register(REPAIRED);
    expect(await replay.answer({ tenantId: 't1' })).toEqual({
      replayed: 2,
      failed: [],
      remaining: { quarantined: 0 },
    });
    expect(await live('t1 course:c1')).toEqual(['progress p1']);
    await rig.project(incoming({ id: 'p1', revision: 3, data: progress(null, 3) }));
    // How old a replayed letter is says nothing about how long deltas take.
    const times = (await rig.deltaBatches()).map(({ committedAt }) => committedAt);
    expect(times).toEqual([null, '2026-03-01T10:00:00.000Z']);
    expect((await rig.readModel()).get('t1 course:c1')?.live.get('progress p1')).toEqual({ 's:learning': 3 });
    expect((await list({ status: 'replayed' })).deadLetters).toHaveLength(2);
    expect(await countQuarantined(rig.test.database)).toBe(0);
  });

  it('has only so much of the letters in memory at once, of one entity as well, and keeps their order', async () => {
    const large = (percent: number) => ({ ...progress(null, percent), text: 'x'.repeat(700_000) });
    for (let revision = 1; revision <= 8; revision += 1) {
      await rig.project(incoming({ id: 'p1', revision, data: large(revision) }));
    }
    rig.types.register(REPAIRED);
    expect(await replay.answer({ tenantId: 't1' })).toMatchObject({ replayed: 8, failed: [] });
    expect((await rig.readModel()).get('t1 course:c1')?.live.get('progress p1')).toEqual({ 's:learning': 8 });
  });

  it('lets a later good event make up for an earlier bad one', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress(null) }));
    await rig.project(incoming({ id: 'p1', revision: 2, data: progress('u1') }));
    const { deadLetters } = await list();
    const older = deadLetters.find(({ code }) => code === 'scope_unrenderable');
    const result = await replay.answer({ tenantId: 't1', deadLetterIds: [older?.deadLetterId ?? ''] });
    expect(result).toMatchObject({ replayed: 2, failed: [], remaining: { quarantined: 0 } });
    expect(await live()).toEqual(['progress p1']);
  });

  it('keeps what fails again, with another attempt, and its quarantine', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress('u1') }));
    await rig.project(incoming({ id: 'p1', revision: 2, data: progress(null) }));
    const result = await replay.answer({ tenantId: 't1', deadLetterIds: ['999999', 'x'] });
    expect(result).toMatchObject({
      replayed: 0,
      failed: [
        { deadLetterId: '999999', code: 'not_found' },
        { deadLetterId: 'x', code: 'not_found' },
      ],
    });
    expect(await replay.answer({ tenantId: 't1', entityType: 'progress' })).toMatchObject({
      replayed: 0,
      failed: [{ code: 'scope_unrenderable' }],
      remaining: { quarantined: 1 },
    });
    expect((await list()).deadLetters).toMatchObject([{ attempts: 2 }]);
    await rig.project(incoming({ id: 'p1', revision: 3, data: progress('u1') }));
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual([
      'scope_unrenderable',
      'entity_quarantined',
    ]);
  });

  it('beside a consumer that adds letters of the same entity leaves none behind', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress(null, 1) }));
    rig.types.register(REPAIRED);
    const consuming = (async () => {
      for (let revision = 2; revision <= 30; revision += 1) {
        await rig.project(incoming({ id: 'p1', revision, data: progress(null, revision) }));
      }
    })();
    await Promise.all([consuming, replay.replay({ tenantId: 't1' })]);
    await replay.replay({ tenantId: 't1' });
    expect((await rig.readModel()).get('t1 course:c1')?.live.get('progress p1')).toEqual({
      's:learning': 30,
    });
    expect((await list({ status: 'quarantined' })).deadLetters).toEqual([]);
  });

  it('waits for a consumer that is just adding a letter, and takes that one as well', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress(null, 1) }));
    rig.types.register(REPAIRED);
    let replaying = Promise.resolve({ replayed: -1 });
    await rig.test.database.transaction(async (tx) => {
      await rig.projectIn(tx, incoming({ id: 'p1', revision: 2, data: progress(null, 2) }));
      replaying = replay.replay({ tenantId: 't1' });
      await Promise.race([replaying, untilSomebodyWaits()]);
    });
    expect((await replaying).replayed).toBe(2);
  });

  it('happens by itself once an unknown entity type is registered', async () => {
    const certificate = { type: 'certificate', id: 'x1', revision: 1, data: { userId: 'u1' } };
    await rig.project(incoming(certificate));
    expect(await list()).toMatchObject({ deadLetters: [{ code: 'entity_type_unknown' }] });
    const retry = new RetryDeadLetters(
      rig.test.database,
      rig.types,
      replay,
      createLogger({ service: 'test' }),
    );
    expect(await retry.retryOnce()).toBe(0);
    rig.types.register({ ...REPAIRED, entityType: 'certificate' });
    rig.types.register({
      service: 'learning',
      entityType: 'certificate',
      schemaVersion: 1,
      policy: 'server_authoritative',
      projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    });
    expect(await retry.retryOnce()).toBe(1);
    expect(await live()).toEqual(['certificate x1']);
  });
});

/** Resolves when a transaction of this database waits for a row that another one has locked. */
async function untilSomebodyWaits(): Promise<void> {
  for (;;) {
    const rows = await rig.test.database.call(
      'waiting',
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      [],
    );
    if (rows.length > 0) return;
    await sleep(10);
  }
}
