import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Batch } from '@sync/messaging';
import { Database, type Tx } from '@sync/postgres';
import type { RegisteredEntityType } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { explainEntity } from '../explain/explain-entity.ts';
import { ConsumeDomainEvents } from '../projection/consume-domain-events.ts';
import { incomingEvents } from '../projection/incoming-event.ts';
import { domainEvent, incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { listDeadLetters } from './list-dead-letters.ts';
import { countQuarantined, pruneDeadLetters } from './prune-dead-letters.ts';
import { ReplayDeadLetters } from './replay-dead-letters.ts';
import { RetryDeadLetters } from './retry-dead-letters.ts';

let rig: ProjectorRig;
let replay: ReplayDeadLetters;
beforeEach(async () => {
  rig = await ProjectorRig.open();
  replay = new ReplayDeadLetters(rig.test.database, rig.projection, () => undefined);
});
afterEach(() => rig.close());

const progress = (userId: unknown, value = 1) => ({ userId, courseId: 'c1', percent: value });
const list = (more: object = {}) =>
  listDeadLetters(rig.test.database, { tenantId: 't1', cursor: null, limit: 50, ...more });
const live = async (scope = 't1 user:u1') => [...((await rig.readModel()).get(scope)?.live.keys() ?? [])];

describe('a poison event', () => {
  it('is kept with its cause while everything else in its batch flows', async () => {
    await rig.project(
      incoming(
        { id: 'good', revision: 1, data: progress('u1') },
        { id: 'bad', revision: 1, data: progress('no scope of this form') },
        { id: 'other', revision: 1, data: progress('u1') },
      ),
    );
    expect(await live()).toEqual(['progress good', 'progress other']);
    const { deadLetters } = await list();
    expect(deadLetters).toMatchObject([
      {
        status: 'quarantined',
        producer: 'learning',
        eventId: 'progress-bad-1',
        entityType: 'progress',
        entityId: 'bad',
        revision: 1,
        code: 'scope_unrenderable',
        attempts: 1,
        event: domainEvent({ id: 'bad', revision: 1, data: progress('no scope of this form') }),
      },
    ]);
    expect(await countQuarantined(rig.test.database)).toBe(1);
  });

  it('holds back the later events of its entity, in their order, and of no other', async () => {
    await rig.project(
      incoming({ id: 'p1', revision: 1, data: progress('u1') }, { id: 'p1', revision: 2, data: progress(7) }),
    );
    await rig.project(
      incoming(
        { id: 'p1', revision: 3, data: progress('u1', 3) },
        { id: 'p2', revision: 1, data: progress('u1') },
      ),
    );
    await rig.project(incoming({ id: 'p1', revision: 4, data: progress('u1', 4) }));
    const letters = await rig.deadLetters();
    const seen = letters.map(({ code, event }) => [
      code,
      (JSON.parse(event) as { revision: number }).revision,
    ]);
    expect(seen).toEqual([
      ['scope_unrenderable', 2],
      ['entity_quarantined', 3],
      ['entity_quarantined', 4],
    ]);
    expect(await live()).toEqual(['progress p1', 'progress p2']);
    expect((await rig.readModel()).get('t1 user:u1')?.live.get('progress p1')).toEqual({ 's:learning': 1 });
  });

  it.each([
    ['a wrong form', { revision: -1 }, 'event_invalid'],
    ['data that no database stores', { data: { userId: 'u1', text: 'a\u0000b' } }, 'event_unstorable'],
    ['a clock that is none', { entityclock: '{"x:learning":1}' }, 'clock_invalid'],
    ['a replica that the wire does not know', { entityclock: '{"s:Learning!":1}' }, 'clock_invalid'],
    [
      'a mutation clock beyond all counting',
      { entityclock: undefined, mutationclock: '{"s:learning":1e99}' },
      'clock_invalid',
    ],
    ['data that is no object', { data: null, entityop: 'put' }, 'data_not_object'],
  ])('may be one with %s', async (_what, more, code) => {
    await rig.project(incoming({ id: 'bad', revision: 1, data: progress('u1'), more }));
    await rig.project(incoming({ id: 'bad', revision: 2, data: progress('u1') }));
    expect((await rig.deadLetters()).map((letter) => letter.code)).toEqual([code, 'entity_quarantined']);
  });

  it('too deep to be read does not cost its neighbours', async () => {
    const deep = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`;
    const good = domainEvent({ id: 'good', revision: 1, data: progress('u1') });
    const bad = JSON.stringify(domainEvent({ id: 'bad', revision: 1, data: null })).replace(
      '"data":null',
      `"data":${deep}`,
    );
    await rig.project(incomingEvents('learning', `[${bad},${JSON.stringify(good)}]`));
    expect(await rig.deadLetters()).toMatchObject([{ code: 'limit_exceeded', entity_id: 'bad' }]);
    expect(await live()).toEqual(['progress good']);
  });

  it('that names no tenant is kept aside', async () => {
    await rig.project([
      ...incomingEvents('learning', 'not JSON'),
      ...incomingEvents('learning', '[{"tenantid":"*"},7]'),
      ...incomingEvents('learning', 'not JSON'),
    ]);
    const rows = await rig.test.database.call(
      'u',
      'SELECT code, event FROM unreadable_event ORDER BY id',
      [],
    );
    expect(rows).toHaveLength(3);
    expect(rows).toContainEqual({ code: 'malformed_json', event: '"not JSON"' });
  });

  it('from somebody who does not own the type neither counts nor holds anything back', async () => {
    const forged = domainEvent({ id: 'p1', revision: 9, data: progress('u1', 99) });
    await rig.project(incomingEvents('authoring', JSON.stringify([forged, { ...forged, revision: 'x' }])));
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress('u1') }));
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual(['not_the_owner', 'event_invalid']);
    expect(await live()).toEqual(['progress p1']);
    expect(await countQuarantined(rig.test.database)).toBe(0);
  });

  it('delivered again counts as another attempt', async () => {
    const bad = incoming({ id: 'bad', revision: 1, data: progress(null) });
    await rig.project(bad);
    await rig.project(bad);
    expect((await list()).deadLetters).toMatchObject([{ attempts: 2, code: 'scope_unrenderable' }]);
  });

  it('whose delta no message could carry is refused before anything is written', async () => {
    const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`f${n}`, 0]));
    await rig.project(incoming({ id: 'wide', revision: 1, data: { ...progress('u1'), ...wide } }));
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual(['delta_too_large']);
    expect(await rig.rows('t1', 'SELECT 1 FROM entity_head')).toEqual([]);
  });
});

describe('what Postgres refuses', () => {
  const batchOf = (...events: readonly unknown[]): Batch => ({
    stream: 'DOMAIN_EVENTS',
    partition: 0,
    producer: 'learning',
    epoch: 'e',
    messages: [{ number: 1, payload: JSON.stringify(events), subject: '' }],
  });

  it('fails its batch once, then is found among its neighbours and set aside', async () => {
    const consume = new ConsumeDomainEvents(rig.projection, rig.metrics);
    // A revision that JavaScript can hold and a check of the table (added here) does not.
    const owner = await ownerOf(rig);
    await owner.query('ALTER TABLE entity_head ADD CHECK (revision < 1000000)');
    await owner.close();
    const batch = batchOf(
      domainEvent({ id: 'good', revision: 1, data: progress('u1') }),
      domainEvent({ id: 'odd', revision: 2_000_000, data: progress('u1') }),
      domainEvent({ id: 'odd', revision: 2_000_001, data: progress('u1') }),
      domainEvent({ id: 'fine', revision: 1, data: progress('u1') }),
    );
    const handle = (): Promise<void> => rig.test.database.transaction((tx: Tx) => consume.handle(tx, batch));
    await expect(handle()).rejects.toMatchObject({ code: '23514' });
    await handle();
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual([
      'storage_refused',
      'entity_quarantined',
    ]);
    expect((await live()).sort()).toEqual(['progress fine', 'progress good']);
  });
});

async function ownerOf(projector: ProjectorRig) {
  const database = await Database.connect({
    url: projector.test.ownerUrl,
    applicationName: 'owner',
    poolSize: 1,
  });
  return {
    query: (sql: string) => database.dataSource.query(sql),
    close: () => database.close(),
  };
}

describe('a list of dead letters', () => {
  it('comes newest first, page by page, of one tenant only', async () => {
    for (let n = 1; n <= 5; n += 1) {
      await rig.project(incoming({ id: `bad${n}`, revision: 1, data: progress(n) }));
    }
    await rig.project(incoming({ tenant: 't2', id: 'foreign', revision: 1, data: progress(1) }));
    const first = await list({ limit: 2 });
    expect(first.deadLetters.map(({ entityId }) => entityId)).toEqual(['bad5', 'bad4']);
    const second = await list({ limit: 2, cursor: first.next });
    expect(second.deadLetters.map(({ entityId }) => entityId)).toEqual(['bad3', 'bad2']);
    const third = await list({ limit: 2, cursor: second.next });
    expect(third).toMatchObject({ deadLetters: [{ entityId: 'bad1' }], next: null });
    expect((await list({ entityId: 'bad2', status: 'replayed' })).deadLetters).toEqual([]);
  });

  it('refuses what is no request', async () => {
    await expect(list({ limit: 0 })).rejects.toMatchObject({ code: 'schema_invalid' });
    await expect(list({ cursor: 'x' })).rejects.toMatchObject({ code: 'schema_invalid' });
  });
});

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
    expect((await rig.readModel()).get('t1 course:c1')?.live.get('progress p1')).toEqual({ 's:learning': 3 });
    expect((await list({ status: 'replayed' })).deadLetters).toHaveLength(2);
    expect(await countQuarantined(rig.test.database)).toBe(0);
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

describe('dead letters', () => {
  it('do not grow for ever', async () => {
    await rig.project(incoming({ id: 'p1', revision: 1, data: progress(null) }));
    const drafts = Array.from({ length: 1_010 }, (_, n) => ({
      id: 'p1',
      revision: n + 2,
      data: progress('u1', n),
    }));
    await rig.project(incoming(...drafts));
    await pruneDeadLetters(rig.test.database, 30);
    const letters = await rig.deadLetters();
    expect(letters).toHaveLength(1_001);
    expect(letters[0]?.code).toBe('scope_unrenderable');
  });
});

describe('explain', () => {
  const explain = (entityId: string) =>
    explainEntity(rig.test.database, { tenantId: 't1', entityType: 'enrollment', entityId });
  const enrollment = (revision: number, userId: unknown) =>
    incoming({ type: 'enrollment', id: 'e1', revision, data: { userId, courseId: 'c1', status: 'active' } });

  it('tells where an entity is, what it grants and what holds it back', async () => {
    await rig.project(enrollment(1, 'u1'));
    await rig.project(enrollment(2, null));
    await rig.project(enrollment(3, 'u1'));
    expect(await explain('e1')).toMatchObject({
      entity: {
        revision: 1,
        clock: { 's:learning': 1 },
        deleted: false,
        schemaVersion: 1,
        scopes: [{ scope: 'user:u1', sequence: null, headSequence: '1' }],
        grants: [{ scope: 'course:c1', userId: 'u1' }],
      },
      deadLetter: { code: 'scope_unrenderable', revision: 2 },
    });
  });

  it('says that it knows nothing of an entity of another tenant', async () => {
    await rig.project(
      incoming({
        tenant: 't2',
        type: 'enrollment',
        id: 'e1',
        revision: 1,
        data: { userId: 'u1', courseId: 'c', status: 'x' },
      }),
    );
    expect(await explain('e1')).toEqual({ entity: null, deadLetter: null });
  });
});
