import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { type DeltaBatch, parseDeltaBatch, subjects, type RegisteredEntityType } from '@sync/protocol';
import { domainEvent, REGISTRATIONS } from '../testing/domain-events.ts';
import { RunningProjector, snapshotEntity, type Worker } from '../testing/running-projector.ts';

let running: RunningProjector;
beforeEach(async () => {
  running = await RunningProjector.open();
});
afterEach(() => running.close());

const OTHERS = REGISTRATIONS.map(({ entityType }) => entityType).filter((type) => type !== 'bundle');
const show = (...entities: Parameters<typeof snapshotEntity>[]): void => {
  running.snapshots.set(
    'bundle',
    entities.map((entity) => snapshotEntity(...entity)),
  );
};
const inCourse = (courseId: string) => ({ courseId, title: 'T' });
const bundle = (id: string, revision: number, courseId = 'c1') =>
  domainEvent({ type: 'bundle', id, revision, data: inCourse(courseId) });

interface Progress {
  readonly done: boolean;
  readonly reason: string;
  readonly cursor: string | null;
  readonly run: number;
}

async function progressOf(entityType = 'bundle'): Promise<Progress | undefined> {
  const rows = await running.test.database.call<Progress>(
    'progress',
    'SELECT done, reason, cursor, run FROM backfill_progress WHERE entity_type = $1',
    [entityType],
  );
  return rows[0];
}

const untilDone = (reason: string): Promise<void> =>
  running.until(`backfill ${reason} is done`, async () => {
    const progress = await progressOf();
    return progress?.done === true && progress.reason === reason;
  });

/** The live bundles of each course scope by replaying all deltas, as a gateway would. */
async function scopes(): Promise<Record<string, string[]>> {
  const live = new Map<string, Set<string>>();
  for (const batch of await batches()) {
    for (const head of batch.scopes) if (head.sequence === '0') live.set(head.scope, new Set());
    for (const { scope, entityId, deleted } of batch.deltas) {
      const entities = live.get(scope) ?? new Set<string>();
      if (deleted) entities.delete(entityId);
      else entities.add(entityId);
      live.set(scope, entities);
    }
  }
  return Object.fromEntries([...live].map(([scope, ids]) => [scope, [...ids].sort()]));
}

/** The entities of the batches that say when their owner committed them, in order of their ids. */
async function timed(): Promise<string[]> {
  const found = (await batches()).filter(({ committedAt }) => committedAt !== null);
  return found.flatMap(({ deltas }) => deltas.map(({ entityId }) => entityId)).sort();
}

async function batches() {
  const rows = await running.test.database.call<{ payload: string }>(
    'batches',
    `SELECT payload FROM sync_outbox WHERE stream = 'DELTAS' ORDER BY id`,
    [],
  );
  return rows.map(({ payload }) => parseDeltaBatch(payload) as DeltaBatch);
}

describe('a type that was never read', () => {
  it('is read page by page, deleted entities included, and takes what events have brought as it is', async () => {
    running.answerList();
    running.answerSnapshots(2);
    show(
      ['b1', 1, inCourse('c1')],
      ['b2', 4, inCourse('c1')],
      ['b3', 2, null],
      ['b4', 1, inCourse('c2')],
      ['b5', 1, inCourse('c2')],
    );
    await running.publish(bundle('b2', 5, 'c2'), bundle('b6', 1, 'c2'));
    const { registry } = (await running.startWorker()).foundation.metrics;
    await untilDone('first_seen');
    await running.until('events', async () => 'b6' in (await running.revisions('bundle')));
    expect(await running.revisions('bundle')).toEqual({ b1: 1, b2: 5, b4: 1, b5: 1, b6: 1 });
    expect(await scopes()).toEqual({ 'course:c1': ['b1'], 'course:c2': ['b2', 'b4', 'b5', 'b6'] });
    const asked = running.pages.filter(({ entityType }) => entityType === 'bundle');
    expect(asked.map(({ cursor }) => cursor)).toEqual([null, '2', '4']);
    // How old the entities of a snapshot are says nothing about how long deltas take.
    expect(new Set(await timed())).toEqual(new Set(['b2', 'b6']));
    await running.until('the lag of two events', async () =>
      /^sync_projection_lag_seconds_count\{.*\} 2$/m.test(await registry.metrics()),
    );
  });

  it('is not read again by the next worker', async () => {
    running.answerList();
    running.answerSnapshots(2);
    show(['b1', 1, inCourse('c1')]);
    const first = await running.startWorker();
    await untilDone('first_seen');
    await first.stop();
    running.pages.length = 0;
    const second = await running.startWorker();
    await running.publish(bundle('b9', 1));
    await running.until('it works', async () => 'b9' in (await running.revisions('bundle')));
    second.projector.backfillWorker.look();
    expect(running.pages.filter(({ entityType }) => entityType === 'bundle')).toEqual([]);
  });

  it('waits for its service without holding up the others, and goes on from where it was', async () => {
    running.answerList();
    running.answerSnapshots(2, OTHERS);
    const first = await running.startWorker();
    await running.until('others are done', async () => (await progressOf('progress'))?.done === true);
    expect((await progressOf())?.done ?? false).toBe(false);
    await first.stop();
    // As if the worker had died after its first page.
    show(['b1', 1, inCourse('c1')], ['b2', 1, inCourse('c1')], ['b3', 1, inCourse('c1')]);
    await running.test.database.call(
      'set',
      `UPDATE backfill_progress SET cursor = '2' WHERE entity_type = 'bundle'`,
      [],
    );
    running.answerSnapshots(2, ['bundle']);
    await running.startWorker();
    await untilDone('first_seen');
    expect(await running.revisions('bundle')).toEqual({ b3: 1 });
  });

  it('sets aside what is no entity, and reads on', async () => {
    running.answerList();
    running.answerSnapshots(2);
    show(['b1', 1, inCourse('no course of this form')], ['b2', 1, inCourse('c1')], ['b3', 1, inCourse('c1')]);
    running.snapshots.get('bundle')?.splice(1, 0, { tenantId: 't1' } as never, 7 as never);
    const { projector } = await running.startWorker();
    await untilDone('first_seen');
    expect(await running.revisions('bundle')).toEqual({ b2: 1, b3: 1 });
    const letters = await running.test.database.inTenant('t1', (tx) =>
      tx.query<{ code: string }>('SELECT code FROM dead_letter ORDER BY id'),
    );
    expect(letters.map(({ code }) => code)).toEqual(['scope_unrenderable', 'event_invalid']);
    expect(projector.registry.all()).toHaveLength(REGISTRATIONS.length);
  });
});

describe('a new schema version', () => {
  it('projects every entity anew, at its own revision', async () => {
    running.answerList();
    running.answerSnapshots(10);
    show(['b1', 3, { courseId: 'c1', title: 'T', shelf: 's1' }]);
    const { projector } = await running.startWorker();
    await untilDone('first_seen');
    expect(await scopes()).toEqual({ 'course:c1': ['b1'] });
    running.registrations = running.registrations.map((type): RegisteredEntityType =>
      type.entityType === 'bundle'
        ? {
            ...type,
            schemaVersion: 2,
            projection: { kind: 'declarative', fields: '*', scopes: ['shelf:{shelf}'] },
          }
        : type,
    );
    running.connection.publish(subjects.registryChanged);
    await untilDone('schema_changed');
    expect(projector.registry.get('bundle')?.registration.schemaVersion).toBe(2);
    expect(await scopes()).toEqual({ 'course:c1': [], 'shelf:s1': ['b1'] });
    expect(await running.revisions('bundle')).toEqual({ b1: 3 });
  });
});

describe('events that are past retention', () => {
  it('are made up for by the snapshot of their owner', async () => {
    running.answerList();
    running.answerSnapshots(10);
    const worker = await running.startWorker();
    await running.publish(bundle('b1', 1), bundle('b2', 1));
    await running.until('projected', async () => Object.keys(await running.revisions('bundle')).length === 2);
    await untilDone('first_seen');
    await worker.stop();
    await running.publish(bundle('b1', 2), bundle('b2', 2), bundle('b3', 1));
    await loseUnread();
    show(['b1', 2, inCourse('c1')], ['b2', 3, null], ['b3', 1, inCourse('c1')]);
    await running.startWorker();
    await untilDone('pruned');
    expect(await running.revisions('bundle')).toEqual({ b1: 2, b3: 1 });
  });

  /** The stream loses its messages and the owner's outbox no longer has the rows. */
  async function loseUnread(): Promise<void> {
    const { ownerDb, connection } = running;
    await running.until('published', async () => {
      const rows = await ownerDb.database.call<{ waiting: boolean }>(
        'published',
        'SELECT count(*) FILTER (WHERE published < number) > 0 AS waiting FROM sync_outbox_head',
        [],
      );
      const unnumbered = await ownerDb.database.call(
        'unnumbered',
        'SELECT 1 FROM sync_outbox WHERE number IS NULL',
        [],
      );
      return rows[0]?.waiting === false && unnumbered.length === 0;
    });
    await (await jetstream(connection).jetstreamManager()).streams.purge('DOMAIN_EVENTS');
    await ownerDb.database.call('prune', 'DELETE FROM sync_outbox', []);
    // One more event in each partition shows that something is missing before it.
    const touch = Array.from({ length: 24 }, (_, n) =>
      domainEvent({ id: `p${n}`, revision: 1, data: { userId: 'u1' } }),
    );
    await running.publish(...touch);
  }
});

describe('a service with plain events', () => {
  it('is compared with its snapshot from time to time: lost changes, lost deletions', async () => {
    running.answerList();
    running.answerSnapshots(10);
    show(['b1', 1, inCourse('c1')], ['b2', 1, inCourse('c1')], ['b3', 1, inCourse('c1')]);
    await running.startWorker({ RECONCILE_INTERVAL_S: '5' });
    await untilDone('first_seen');
    const publish = (event: unknown): Promise<unknown> =>
      jetstream(running.connection).publish(
        subjects.plainEvents('learning', 'bundle'),
        JSON.stringify(event),
      );
    await publish(bundle('b4', 1));
    await running.until('b4', async () => 'b4' in (await running.revisions('bundle')));
    // b1 changed and b2 went, but no event told so; b5 is in no snapshot yet and its event is.
    show(['b1', 2, inCourse('c2')], ['b3', 1, inCourse('c1')], ['b4', 1, inCourse('c1')]);
    await untilDone('reconcile');
    await running.until('compared', async () => !('b2' in (await running.revisions('bundle'))));
    expect(await running.revisions('bundle')).toEqual({ b1: 2, b3: 1, b4: 1 });
    expect(await scopes()).toEqual({ 'course:c1': ['b3', 'b4'], 'course:c2': ['b1'] });
    expect(await timed()).toEqual(['b4']);
    // The deletion whose event was lost has the next revision: what really comes next wins.
    await publish(bundle('b2', 3));
    await running.until('b2 again', async () => (await running.revisions('bundle'))['b2'] === 3);
  });
});

describe('a rebuild', () => {
  it('starts every scope over in a new epoch and brings back what the owners have', async () => {
    running.answerList();
    running.answerSnapshots(10);
    show(['b1', 1, inCourse('c1')], ['b2', 1, inCourse('c1')]);
    const enrolled = { userId: 'u1', courseId: 'c1', status: 'active' };
    running.snapshots.set('enrollment', [snapshotEntity('e1', 1, enrolled)]);
    const { projector }: Worker = await running.startWorker();
    await untilDone('first_seen');
    await running.until('enrolled', async () => 'e1' in (await running.revisions('enrollment')));
    const before = await batches();
    show(['b1', 1, inCourse('c1')], ['b3', 1, inCourse('c1')]);
    const reply = await running.connection.request(subjects.projectorRebuild, '{}', { timeout: 10_000 });
    expect(reply.json()).toEqual({ tenants: 1 });
    projector.backfillWorker.look();
    await untilDone('rebuild');
    await running.until(
      'enrollments too',
      async () => (await progressOf('enrollment'))?.reason === 'rebuild',
    );
    await running.until('enrollments are done', async () => (await progressOf('enrollment'))?.done === true);
    expect(await running.revisions('bundle')).toEqual({ b1: 1, b3: 1 });
    expect(await scopes()).toEqual({ 'course:c1': ['b1', 'b3'], 'user:u1': ['e1'] });
    expect(await timed()).toEqual([]);
    const after = (await batches()).slice(before.length);
    const epochs = new Set(after.flatMap((batch) => batch.scopes.map(({ epoch }) => epoch)));
    const oldEpochs = before.flatMap((batch) => batch.scopes.map(({ epoch }) => epoch));
    expect(oldEpochs.filter((epoch) => epochs.has(epoch))).toEqual([]);
    expect(after.flatMap(({ grants }) => grants)).toMatchObject([
      { scope: 'course:c1', userId: 'u1', granted: true },
    ]);
  });

  it('refuses what is no tenant', async () => {
    await running.startWorker();
    const reply = await running.connection.request(subjects.projectorRebuild, '{"tenantId":"a,b"}');
    expect(reply.json()).toMatchObject({ error: { code: 'schema_invalid' } });
  });
});
