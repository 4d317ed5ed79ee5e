import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Responder } from '@sync/messaging';
import { SnapshotRequest, subjects, validator } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { ReplayDeadLetters } from '../dead-letters/replay-dead-letters.ts';
import { RetryDeadLetters } from '../dead-letters/retry-dead-letters.ts';
import { type EventDraft, incoming, REGISTRATIONS } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';

const SERVICE = `learning-${Math.random().toString(36).slice(2)}`;
const logger = createLogger({ service: 'test', level: 'silent' });

let rig: ProjectorRig;
let owner: Responder | undefined;
let asked: SnapshotRequest[];

beforeEach(async () => {
  // Its own service name: what answers here must not be asked by another test.
  rig = await ProjectorRig.open(
    REGISTRATIONS.map((type) => ({
      ...type,
      snapshotSubject: subjects.snapshot(SERVICE, type.entityType),
    })),
  );
  asked = [];
});
afterEach(async () => {
  await owner?.stop();
  owner = undefined;
  await rig.close();
});

const page = (id: string, revision: number, body: string, courseId = 'c1'): EventDraft => {
  return { type: 'document', id, revision, data: { courseId, title: 'T', body } };
};
const increment = (id: string, revision: number, body: string, courseId = 'c1'): EventDraft => {
  return { ...page(id, revision, body, courseId), more: { docstate: 'increment' } };
};

/** The owner has these documents now; `perPage` fit into a message. */
function ownerHas(now: Readonly<Record<string, EventDraft>>, perPage = 100): void {
  owner = new Responder({
    nats: rig.nats,
    subject: subjects.snapshot(SERVICE, 'document'),
    queue: SERVICE,
    logger,
    handle: async (value) => {
      const request = validator(SnapshotRequest)(value);
      if (!request.ok) throw new Error(JSON.stringify(request.faults));
      asked.push(request.value);
      const named = (request.value.entities ?? []).flatMap(({ tenantId, entityId }) => {
        const draft = now[entityId];
        if (!draft) return [];
        const { revision, data } = draft;
        const clock = { 's:learning': revision };
        return [{ tenantId, entityId, revision, clock, data, deleted: data === null }];
      });
      return { entities: named.slice(0, perPage), next: null };
    },
  });
}

async function seen(scope = 'course:c1'): Promise<unknown[]> {
  const deltas = (await rig.deltaBatches()).flatMap((batch) => batch.deltas);
  return deltas
    .filter((delta) => delta.scope === scope)
    .map(({ document, revision, wire }) => [document, revision, wire.update ?? wire.op]);
}

it('brings the whole document into a scope that is new to it', async () => {
  ownerHas({ d1: page('d1', 2, 'ABAB', 'c2') });
  await rig.project(incoming(page('d1', 1, 'AAAA')));
  await rig.project(incoming(increment('d1', 2, 'AAA=', 'c2'), increment('d1', 3, 'CCCC', 'c2')));
  expect(await seen()).toEqual([
    ['whole', 1, 'AAAA'],
    ['whole', 2, 'delete'],
  ]);
  expect(await seen('course:c2')).toEqual([
    ['whole', 2, 'ABAB'],
    ['increment', 3, 'CCCC'],
  ]);
  expect(asked).toEqual([{ cursor: null, limit: 1, entities: [{ tenantId: 't1', entityId: 'd1' }] }]);
  await rig.readModel();
});

it('closes gaps with the whole document, page after page, and takes what came meanwhile as known', async () => {
  ownerHas(
    { d1: page('d1', 5, 'ABCD'), d2: page('d2', 3, 'EEEE'), d3: { ...page('d3', 3, ''), data: null } },
    1,
  );
  await rig.project(incoming(page('d1', 1, 'AAAA'), page('d2', 1, 'AAAA'), page('d3', 1, 'AAAA')));
  const outcomes = await rig.project(
    incoming(
      increment('d1', 3, 'CCCC'),
      increment('d2', 3, 'EEEE'),
      increment('d3', 3, 'EEEE'),
      increment('d1', 4, 'DDDD'),
      increment('d1', 5, 'DDDD'),
      increment('d1', 6, 'FFFF'),
    ),
  );
  expect(outcomes.map(({ kind }) => kind)).toEqual([
    ...['changed', 'changed', 'changed'],
    ...['stale', 'stale', 'changed'],
  ]);
  expect(asked.map(({ limit }) => limit)).toEqual([3, 2, 1]);
  expect((await seen()).slice(3)).toEqual([
    ['whole', 5, 'ABCD'],
    ['whole', 3, 'EEEE'],
    ['whole', 3, 'delete'],
    ['increment', 6, 'FFFF'],
  ]);
  await rig.readModel();
});

it('asks nobody when a later event of the batch has the whole document', async () => {
  ownerHas({});
  await rig.project(incoming(page('d1', 1, 'AAAA')));
  await rig.project(incoming(increment('d1', 3, 'CCCC'), page('d1', 4, 'DDDD')));
  expect((await seen()).at(-1)).toEqual(['whole', 4, 'DDDD']);
  expect(asked).toEqual([]);
});

it('never shows an increment behind a gap while the owner is silent, and heals when it is back', async () => {
  await rig.project(incoming(page('d1', 1, 'AAAA')));
  const lost = await rig.project(incoming(increment('d1', 3, 'CCCC')));
  expect(lost).toMatchObject([{ kind: 'refused', code: 'document_unavailable' }]);
  expect(await seen()).toEqual([['whole', 1, 'AAAA']]);
  // An owner that does not know the request shows something else, or nothing.
  ownerHas({});
  expect(await rig.project(incoming(increment('d1', 4, 'DDDD')))).toMatchObject([{ kind: 'refused' }]);
  await owner?.stop();
  ownerHas({ d1: page('d1', 4, 'ABCD') });
  const replay = new ReplayDeadLetters(rig.asking, rig.projection, () => undefined);
  const retry = new RetryDeadLetters(rig.test.database, rig.types, replay, logger);
  expect(await retry.retryOnce()).toBe(2);
  expect(await seen()).toEqual([
    ['whole', 1, 'AAAA'],
    ['whole', 4, 'ABCD'],
  ]);
});
