import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import type { RegisteredEntityType, RemoteProjectionRequest } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { domainEvent, incoming, REGISTRATIONS } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { ReplayDeadLetters } from '../dead-letters/replay-dead-letters.ts';
import { RetryDeadLetters } from '../dead-letters/retry-dead-letters.ts';
import { RemoteProjectionError } from './remote-projector.ts';

const SUBJECT = `projector.${Math.random().toString(36).slice(2)}`;
const REMOTE: RegisteredEntityType = {
  service: 'learning',
  entityType: 'chart',
  schemaVersion: 1,
  policy: 'server_authoritative',
  projection: { kind: 'remote', subject: SUBJECT },
};

let rig: ProjectorRig;
let nowMs = 0;
let responder: Responder | undefined;
const asked: RemoteProjectionRequest[] = [];

beforeEach(async () => {
  nowMs = 1_000_000;
  rig = await ProjectorRig.open([...REGISTRATIONS, REMOTE], () => nowMs);
  asked.length = 0;
});
afterEach(async () => {
  await responder?.stop();
  responder = undefined;
  await rig.close();
});

/** Answers with the chart's title, in the scope of each reader, who also gets the chart's course. */
function answer(change: (entities: unknown[]) => unknown[] = (entities) => entities): void {
  const logger = createLogger({ service: 'test', level: 'silent' });
  const handle = async (body: unknown): Promise<unknown> => {
    const request = body as RemoteProjectionRequest;
    asked.push(request);
    const entities = request.entities.map(({ data }) => {
      const { title, readers, hidden } = data as { title: string; readers: string[]; hidden?: boolean };
      if (hidden) return { data: null, scopes: [] };
      const scopes = readers.map((reader) => `user:${reader}`);
      return {
        data: { title },
        scopes,
        grants: readers.map((userId) => ({ scope: 'course:charts', userId })),
      };
    });
    return { entities: change(entities) };
  };
  responder = new Responder({ nats: rig.nats, subject: SUBJECT, queue: 'test', logger, handle });
}

const chart = (id: string, revision: number, data: unknown) => ({ type: 'chart', id, revision, data });

describe('a remote projection', () => {
  it('decides what an entity shows in which scopes, and who is granted what', async () => {
    answer();
    await rig.project(incoming(chart('x', 1, { title: 'T', readers: ['u1', 'u2'], secret: 1 })));
    const [first] = await rig.deltaBatches();
    expect(first).toBeDefined();
    const model = await rig.readModel();
    expect([...model.keys()].sort()).toEqual(['t1 user:u1', 't1 user:u2']);
    const batches = await rig.deltaBatches();
    expect(batches.flatMap(({ deltas }) => deltas.map(({ wire }) => wire.data))).toEqual([
      { title: 'T' },
      { title: 'T' },
    ]);
    expect(
      batches
        .flatMap(({ grants }) => grants)
        .map(({ userId }) => userId)
        .sort(),
    ).toEqual(['u1', 'u2']);
    await rig.project(incoming(chart('x', 2, { title: 'T', readers: ['u2'], hidden: true })));
    expect((await rig.readModel()).get('t1 user:u2')?.live.size).toBe(0);
  });

  it('is asked in one request for many entities, and not about deletions', async () => {
    answer();
    const drafts = Array.from({ length: 120 }, (_, n) => chart(`x${n}`, 1, { title: 'T', readers: ['u1'] }));
    await rig.project(incoming(...drafts, chart('gone', 2, null)));
    expect(asked.map(({ entities }) => entities.length)).toEqual([100, 20]);
    expect((await rig.readModel()).get('t1 user:u1')?.live.size).toBe(120);
  });
});

describe('a remote projector that does not answer', () => {
  const batch = () =>
    incoming(chart('x', 1, { title: 'T', readers: ['u1'] }), {
      type: 'bundle',
      id: 'b1',
      revision: 1,
      data: { courseId: 'c1', title: 'B' },
    });

  it('lets the batch come again a few times, then holds up nobody', async () => {
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await expect(rig.project(batch())).rejects.toBeInstanceOf(RemoteProjectionError);
    }
    const outcomes = await rig.project(batch());
    expect(outcomes).toMatchObject([{ kind: 'refused', code: 'projector_unavailable' }, { kind: 'changed' }]);
    // Open from now on: the next ones do not even ask.
    expect(await rig.project(incoming(chart('y', 1, { title: 'Y', readers: ['u1'] })))).toMatchObject([
      { code: 'projector_unavailable' },
    ]);
  });

  it('is asked again later, and what waited for it is projected by itself', async () => {
    for (let attempt = 1; attempt <= 3; attempt += 1) await rig.project(batch()).catch(() => undefined);
    await rig.project(batch());
    const replay = new ReplayDeadLetters(rig.asking, rig.projection, () => undefined);
    const retry = new RetryDeadLetters(
      rig.test.database,
      rig.types,
      replay,
      createLogger({ service: 'test' }),
    );
    answer();
    expect(await retry.retryOnce()).toBe(0);
    nowMs += 31_000;
    expect(await retry.retryOnce()).toBe(1);
    expect([...((await rig.readModel()).get('t1 user:u1')?.live.keys() ?? [])]).toEqual(['chart x']);
  });

  it('holds back nothing: a later event goes ahead once it answers', async () => {
    for (let attempt = 1; attempt <= 3; attempt += 1) await rig.project(batch()).catch(() => undefined);
    await rig.project(batch());
    nowMs += 31_000;
    answer();
    const next = domainEvent(chart('x', 2, { title: 'Newer', readers: ['u1'] }));
    expect(await rig.project(incoming(chart('x', 2, next.data)))).toEqual([{ kind: 'changed' }]);
  });

  it.each([
    ['too few entities', (entities: unknown[]) => entities.slice(1)],
    ['a scope that is none', (entities: unknown[]) => entities.map(() => ({ data: {}, scopes: ['Nope'] }))],
  ])('is one that answers %s', async (_what, change) => {
    answer(change);
    await expect(rig.project(batch())).rejects.toBeInstanceOf(RemoteProjectionError);
  });
});
