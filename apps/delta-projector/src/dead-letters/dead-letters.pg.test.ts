import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Batch } from '@sync/messaging';
import { Database, type Tx } from '@sync/postgres';
import { createLogger, type Logger } from '@sync/service-kit';
import { explainEntity } from '../explain/explain-entity.ts';
import { ConsumeDomainEvents, type Consumed } from '../projection/consume-domain-events.ts';
import { incomingEvents } from '../projection/incoming-event.ts';
import { domainEvent, incoming } from '../testing/domain-events.ts';
import { ProjectorRig } from '../testing/projector-rig.ts';
import { listDeadLetters, readLetters } from './list-dead-letters.ts';
import { countQuarantined, pruneDeadLetters } from './prune-dead-letters.ts';

let rig: ProjectorRig;
beforeEach(async () => {
  rig = await ProjectorRig.open();
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
        cause:
          '/rule/scopes/0: the entity lacks a field that the template names, or its value can stand in no scope',
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

  it('of a wrong form holds back what follows it in the same batch', async () => {
    await rig.project(
      incoming(
        { id: 'p1', revision: 1, data: progress('u1') },
        { id: 'p1', revision: 2, data: progress('u1'), more: { time: 'noon' } },
        { id: 'p1', revision: 3, data: progress('u1') },
      ),
    );
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual([
      'event_invalid',
      'entity_quarantined',
    ]);
    expect((await rig.readModel()).get('t1 user:u1')?.live.get('progress p1')).toEqual({ 's:learning': 1 });
  });

  it('too deep to be read does not cost its neighbours', async () => {
    const deep = `${'{"a":'.repeat(80)}1${'}'.repeat(80)}`;
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

  it('never comes of fields that were removed: the oldest removals are forgotten instead', async () => {
    for (let revision = 1; revision <= 6; revision += 1) {
      const keys = Array.from({ length: 2_000 }, (_, n) => [`f${revision}-${n}`, revision] as const);
      const data = { ...progress('u1'), ...Object.fromEntries(keys) };
      const [outcome] = await rig.project(incoming({ id: 'map', revision, data }));
      expect(outcome?.kind).toBe('changed');
    }
    const last = (await rig.deltaBatches()).at(-1)?.deltas[0];
    const known = Object.keys(last?.fieldWrites ?? {});
    expect(known).toEqual(expect.arrayContaining(['f6-0', 'f6-1999', 'f5-0', 'percent']));
    expect(known).not.toContain('f1-0');
    expect(await countQuarantined(rig.test.database)).toBe(0);
  });
});

const batchWith = (subject: string, ...payloads: readonly string[]): Batch => ({
  stream: 'DOMAIN_EVENTS',
  partition: 0,
  producer: 'learning',
  epoch: 'e',
  messages: payloads.map((payload, at) => ({ number: at + 1, payload, subject })),
});

/** A logger whose warnings are kept. */
function warnings(): { readonly lines: object[]; readonly logger: Logger } {
  const lines: object[] = [];
  const logger = createLogger({ service: 'test', level: 'silent' });
  logger.warn = (line: unknown) => void lines.push(line as object);
  return { lines, logger };
}

describe('the log', () => {
  it('has a line for each dead letter once it is kept, with its cause and nothing of its data', async () => {
    const { lines, logger } = warnings();
    const consume = new ConsumeDomainEvents(rig.projection, rig.metrics, logger);
    const bad = domainEvent({ id: 'bad', revision: 1, data: progress('a secret name') });
    const batch = batchWith('domain.v1.0.learning', JSON.stringify([bad]), 'a secret text');
    const consumed = await rig.test.database.transaction((tx: Tx) => consume.handle(tx, [batch]));
    expect(lines).toEqual([]);
    consume.committed(consumed);
    const from = { producer: 'learning', subject: 'domain.v1.0.learning' };
    expect(lines).toMatchObject([
      {
        ...from,
        tenantId: 't1',
        entityId: 'bad',
        code: 'scope_unrenderable',
        cause: expect.stringMatching(/^\/rule\/scopes\/0: /) as unknown,
      },
      { ...from, tenantId: null, code: 'malformed_json' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('has a bounded number of lines of one batch', async () => {
    const { lines, logger } = warnings();
    const consume = new ConsumeDomainEvents(rig.projection, rig.metrics, logger);
    const batch = batchWith('', ...Array.from({ length: 30 }, (_, n) => `{${n}`));
    consume.committed(await rig.test.database.transaction((tx: Tx) => consume.handle(tx, [batch])));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toEqual({ more: 10 });
  });
});

describe('what Postgres refuses', () => {
  const batchOf = (...events: readonly unknown[]): Batch => batchWith('', JSON.stringify(events));

  it('fails its batch once, then is found among its neighbours and set aside', async () => {
    const { lines, logger } = warnings();
    const consume = new ConsumeDomainEvents(rig.projection, rig.metrics, logger);
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
    const handle = (): Promise<Consumed> =>
      rig.test.database.transaction((tx: Tx) => consume.handle(tx, [batch]));
    await expect(handle()).rejects.toMatchObject({ code: '23514' });
    const consumed = await handle();
    expect((await rig.deadLetters()).map(({ code }) => code)).toEqual([
      'storage_refused',
      'entity_quarantined',
    ]);
    expect((await live()).sort()).toEqual(['progress fine', 'progress good']);
    consume.committed(consumed);
    // What Postgres says may quote the data.
    expect(lines).toMatchObject([
      { code: 'storage_refused', cause: 'see the letter' },
      { code: 'entity_quarantined' },
    ]);
  });
});

it('shares a transaction with batches that are fine only once', async () => {
  const { logger } = warnings();
  const consume = new ConsumeDomainEvents(rig.projection, rig.metrics, logger);
  const owner = await ownerOf(rig);
  await owner.query('ALTER TABLE entity_head ADD CHECK (revision < 1000000)');
  await owner.close();
  const batchOf = (partition: number, ...events: readonly unknown[]): Batch => ({
    ...batchWith('', JSON.stringify(events)),
    partition,
  });
  const fine = batchOf(0, domainEvent({ id: 'fine', revision: 1, data: progress('u1') }));
  const odd = batchOf(
    1,
    domainEvent({ id: 'odd', revision: 2_000_000, data: progress('u1') }),
    domainEvent({ id: 'good', revision: 1, data: progress('u1') }),
  );
  const handle = (...batches: readonly Batch[]): Promise<Consumed> =>
    rig.test.database.transaction((tx: Tx) => consume.handle(tx, batches));
  await expect(handle(odd, fine)).rejects.toMatchObject({ code: '23514' });
  await handle(fine);
  await expect(handle(odd)).rejects.toMatchObject({ code: '23514' });
  await handle(odd);
  expect((await live()).sort()).toEqual(['progress fine', 'progress good']);
  expect((await rig.deadLetters()).map(({ code }) => code)).toEqual(['storage_refused']);
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

  it('reads no more of large events than one reply has room for, and goes on behind them', async () => {
    const large = (n: number, length: number) => ({ ...progress(n), text: 'x'.repeat(length) });
    for (let n = 1; n <= 20; n += 1) {
      await rig.project(incoming({ id: `bad${n}`, revision: 1, data: large(n, 60_000) }));
    }
    await rig.project(incoming({ id: 'larger', revision: 1, data: large(0, 600_000) }));
    const rows = await rig.test.database.inTenant('t1', (tx) =>
      readLetters(tx, ['t1', null, null, null, null], 500),
    );
    const bytes = rows.reduce((sum, { event }) => sum + (event?.length ?? 0), 0);
    expect(bytes).toBeLessThan(700_000);
    expect(bytes).toBeGreaterThan(600_000);
    const seen: (string | null)[] = [];
    for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
      const page = await list({ limit: 500, cursor });
      seen.push(...page.deadLetters.map(({ entityId }) => entityId));
      cursor = page.next;
    }
    expect(seen).toEqual(['larger', ...Array.from({ length: 20 }, (_, n) => `bad${20 - n}`)]);
    const [newest] = (await list()).deadLetters;
    expect(newest).not.toHaveProperty('event');
  });

  it('refuses what is no request', async () => {
    await expect(list({ limit: 0 })).rejects.toMatchObject({ code: 'schema_invalid' });
    await expect(list({ cursor: 'x' })).rejects.toMatchObject({ code: 'schema_invalid' });
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
    const unknown = Array.from({ length: 15 }, (_, n) => ({
      type: 'basket',
      id: 'x',
      revision: n + 1,
      data: {},
    }));
    await rig.project(incoming(...unknown));
    await pruneDeadLetters(rig.test.database, 30);
    const letters = await rig.deadLetters();
    expect(letters.filter(({ entity_id: id }) => id === 'p1')).toHaveLength(1_001);
    expect(letters[0]?.code).toBe('scope_unrenderable');
    expect(letters.filter(({ entity_id: id }) => id === 'x')).toHaveLength(10);
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
