import { randomUUID } from 'node:crypto';
import { DocumentPool, stateHash } from '@sync/documents';
import { SeededRandom, hostileUpdate, hostileWorld } from '@sync/documents/testing';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { DomainEvent, OwnerPushResult, PushedMutation } from '@sync/protocol';
import { mergeClocks, type VectorClock } from '@sync/vector-clock';
import * as Y from 'yjs';
import {
  accept,
  defineEntity,
  jsonEntityStore,
  jsonEntityTableSql,
  ownerMigrations,
  reject,
  type EntityData,
  type EntityDefinition,
} from '../index.ts';
import { changeEntities, lockEntities } from '../change-entities.ts';
import { answerPush, type PushContext } from '../push/answer-push.ts';
import { DocumentHistoryError, KeptDocuments, documentMigrations, type DocumentKey } from './index.ts';

const TENANT = 'acme';

class PageTable1700000000900 {
  readonly name = 'PageTable1700000000900';

  async up(runner: { query(text: string): Promise<unknown> }): Promise<void> {
    await runner.query(jsonEntityTableSql('page'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

const quiet = (): void => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

let test: TestDatabase;
let pool: DocumentPool;
let kept: KeptDocuments;
let definition: EntityDefinition;
let context: PushContext;

beforeAll(async () => {
  const migrations = [...ownerMigrations, ...documentMigrations, PageTable1700000000900];
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'documents', migrations });
  pool = new DocumentPool();
  kept = new KeptDocuments({ field: 'body', logger, pool });
  definition = kept.define(
    defineEntity({
      entityType: 'page',
      schemaVersion: 1,
      policy: 'crdt_yjs',
      projection: {
        kind: 'declarative',
        fields: ['title', 'epoch'],
        scopes: ['user:u1'],
        docUpdateField: 'body',
      },
      ...jsonEntityStore('page'),
      handle(mutation, current) {
        if (mutation.op === 'delete') return accept(null);
        if (mutation.op === 'merge')
          return current ? accept(current) : reject('page_unknown', 'no such page');
        return accept({ ...current, ...mutation.data });
      },
    }),
  );
  const definitions = new Map([['page', definition]]);
  context = { service: 'wiki', database: test.database, definitions, logger, now: () => new Date() };
});
afterAll(async () => {
  await pool.close();
  await test.drop();
});

/** What the owner has of a page. */
interface PageNow {
  readonly revision: number;
  readonly clock: VectorClock;
  readonly text: string;
  readonly body: string;
  readonly epoch: number;
}

async function pageNow(entityId: string): Promise<PageNow> {
  return test.database.inTenant(TENANT, async (tx) => {
    const data = (await lockEntities(tx, context, TENANT, 'page', [entityId])).get(entityId);
    const [row] = await tx.query<{ revision: string; clock: VectorClock }>(
      'SELECT revision, clock FROM sync_entity WHERE entity_id = $1',
      [entityId],
    );
    if (!row) throw new Error(`no page ${entityId}`);
    const body = typeof data?.['body'] === 'string' ? data['body'] : '';
    const doc = new Y.Doc();
    if (body !== '') Y.applyUpdate(doc, Buffer.from(body, 'base64'));
    const text = doc.getText('body').toJSON();
    return { revision: Number(row.revision), clock: row.clock, text, body, epoch: Number(data?.['epoch']) };
  });
}

/** The service itself creates or changes a page. */
async function change(entityId: string, data: EntityData | null): Promise<void> {
  await test.database.inTenant(TENANT, (tx) =>
    changeEntities(tx, context, TENANT, [{ entityType: 'page', entityId, data }], {
      nowIso: new Date().toISOString(),
    }),
  );
}

async function eventsOf(entityId: string): Promise<DomainEvent[]> {
  const outbox = await rows<{ payload: string }>('SELECT payload FROM sync_outbox ORDER BY id', []);
  const events = outbox.flatMap(({ payload }) => JSON.parse(payload) as DomainEvent[]);
  return events.filter((event) => event.entityid === entityId);
}

const updateOf = (text: string, clientId = 2 ** 32 + 1): string => {
  const doc = new Y.Doc();
  doc.clientID = clientId;
  doc.getText('body').insert(0, text);
  return Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64');
};

async function seededPage(text: string): Promise<string> {
  const entityId = randomUUID();
  await change(entityId, { title: 'Page', body: updateOf(text) });
  return entityId;
}

/** A device with a copy of one page; `edit` makes mutations, `push` sends them in one batch. */
class Device {
  readonly doc = new Y.Doc();
  readonly deviceId: string;
  readonly userId: string;
  readonly entityId: string;
  private baseClock: VectorClock = {};
  private counter = 0;
  private unsent: PushedMutation[] = [];

  constructor(name: string, entityId: string) {
    this.deviceId = name;
    this.userId = `user-${name}`;
    this.entityId = entityId;
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'pull') this.unsent.push(this.merge(update));
    });
  }

  get text(): Y.Text {
    return this.doc.getText('body');
  }

  merge(update: Uint8Array): PushedMutation {
    const baseClock = this.baseClock;
    this.counter += 1;
    this.baseClock = { ...baseClock, [`d:${this.deviceId}`]: this.counter };
    return {
      mutationId: randomUUID(),
      userId: this.userId,
      deviceId: this.deviceId,
      scope: 'user:u1',
      entityType: 'page',
      entityId: this.entityId,
      op: 'merge',
      data: null,
      update: Buffer.from(update).toString('base64'),
      clock: this.baseClock,
      baseClock,
      expectedRevision: 0,
      occurredAt: '2026-03-01T10:00:00.000Z',
      schemaVersion: 1,
    };
  }

  async pull(): Promise<this> {
    const page = await pageNow(this.entityId);
    Y.applyUpdate(this.doc, Buffer.from(page.body, 'base64'), 'pull');
    this.baseClock = mergeClocks(this.baseClock, page.clock);
    return this;
  }

  /** As the gateway sends a lane: consecutive revisions, each clock merged with the entity's. */
  async push(extra: readonly PushedMutation[] = []): Promise<OwnerPushResult[]> {
    const page = await pageNow(this.entityId);
    const mutations = [...this.unsent, ...extra].map((mutation, index) => ({
      ...mutation,
      clock: mergeClocks(page.clock, mutation.clock),
      expectedRevision: page.revision + index,
    }));
    this.unsent = [];
    return answerPush(context, definition, { tenantId: TENANT, mutations });
  }

  replace(from: string, to: string): void {
    const at = this.text.toJSON().indexOf(from);
    this.text.delete(at, from.length);
    this.text.insert(at, to);
  }
}

const codesOf = (results: readonly OwnerPushResult[]): string[] =>
  results.map((result) => (result.status === 'rejected' ? result.code : result.status));

const rows = <T>(text: string, values: unknown[]): Promise<T[]> =>
  test.database.inTenant(TENANT, (tx) => tx.query<T>(text, values));

const keyOf = (entityId: string): DocumentKey => ({ tenantId: TENANT, entityType: 'page', entityId });

async function twoDevices(text: string): Promise<[string, Device, Device]> {
  const entityId = await seededPage(text);
  return [entityId, await new Device('d1', entityId).pull(), await new Device('d2', entityId).pull()];
}

describe('a kept document', () => {
  it('tells of numbers that both changed, merges all the same, and keeps a pointer to what was before', async () => {
    const [entityId, first, second] = await twoDevices('Take 5 mg.\n');
    first.replace('5', '10');
    second.replace('5', '20');
    expect((await first.push()).every((result) => !('overlaps' in result))).toBe(true);
    const before = await pageNow(entityId);
    const results = await second.push();
    expect(codesOf(results)).toEqual(['applied', 'applied']);
    expect(results.at(-1)).toMatchObject({
      overlaps: {
        grade: 'severe',
        compared: true,
        overlaps: [
          {
            kind: 'same_number',
            ours: 'Take 10 mg.\n',
            theirs: 'Take 20 mg.\n',
            block: { path: 'body', line: 1 },
          },
        ],
      },
    });
    expect((await pageNow(entityId)).text).toMatch(/^Take (1020|2010) mg\.\n$/);
    const backups = await rows<{ sequence: string; state_hash: string }>(
      'SELECT sequence, state_hash FROM sync_document_backup WHERE entity_id = $1',
      [entityId],
    );
    expect(backups).toEqual([{ sequence: '3', state_hash: stateHash(Buffer.from(before.body, 'base64')) }]);
  });

  it('says nothing of edits in other lines, of chained edits of one device, or of a repetition', async () => {
    const [, first, second] = await twoDevices('one 1\ntwo 2\n');
    first.replace('1', '11');
    second.replace('2', '22');
    await first.push();
    const mutations = await second.push();
    expect(mutations.at(-1)).toMatchObject({ overlaps: { grade: 'none', overlaps: [] } });
    await second.pull();
    second.replace('22', '3');
    second.replace('3', '4');
    expect((await second.push()).every((result) => result.status === 'applied' && !result.overlaps)).toBe(
      true,
    );
  });

  it('shows the whole document when it begins, and then what each change added', async () => {
    const [entityId, device] = await twoDevices('start');
    for (const word of [' a', ' b', ' c']) device.text.insert(device.text.length, word);
    await device.push();
    const doc = new Y.Doc();
    doc.clientID = 2 ** 32 + 9;
    Y.applyUpdate(doc, Buffer.from((await pageNow(entityId)).body, 'base64'));
    doc.getText('body').insert('start a b c'.length, ' server');
    await change(entityId, {
      title: 'Renamed',
      body: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64'),
    });
    await change(entityId, { title: 'Again', body: '' });
    await change(entityId, { title: 'Replaced', body: updateOf('new', 2 ** 32 + 2), epoch: 2 });
    const events = await eventsOf(entityId);
    expect(events.map(({ revision, docstate = 'whole' }) => [revision, docstate])).toEqual([
      [1, 'whole'],
      ...[2, 3, 4, 5, 6].map((revision) => [revision, 'increment']),
      [7, 'whole'],
    ]);
    const bodies = events.map(({ data }) => Buffer.from(String(data?.['body']), 'base64'));
    expect([(bodies[4]?.length ?? 0) < 40, bodies[5]]).toEqual([true, Buffer.from([0, 0])]);
    const copy = new Y.Doc();
    for (const update of bodies.slice(0, 6)) Y.applyUpdate(copy, update);
    expect(copy.getText('body').toJSON()).toBe('start a b c server');
  });

  it('refuses what is hostile, one by one, and stays what it was', async () => {
    const [entityId, honest, hostile] = await twoDevices('nobody may touch this');
    honest.text.insert(0, 'Mine: ');
    await honest.push();
    const before = await pageNow(entityId);
    const impersonation = new Y.Doc();
    Y.applyUpdate(impersonation, Buffer.from(before.body, 'base64'));
    impersonation.clientID = honest.doc.clientID;
    const known = Y.encodeStateVector(impersonation);
    impersonation.getText('body').insert(0, 'not mine');
    const forged = hostile.merge(Y.encodeStateAsUpdate(impersonation, known));
    expect(codesOf(await hostile.push([forged]))).toEqual(['client_id_foreign']);
    const world = hostileWorld(7);
    const random = new SeededRandom(7);
    for (let sent = 0; sent < 60; sent += 1) {
      const { update } = hostileUpdate(world, random);
      const [result] = await hostile.push([hostile.merge(update)]);
      expect(result?.status).not.toBe('conflict');
    }
    const after = await pageNow(entityId);
    // What the hostile device writes in its own name may stand between the two, by the order of clientIDs; it takes nothing away.
    expect(after.text).toMatch(/Mine: .*nobody may touch this/s);
  });

  it('goes back to any point as a change that everybody can merge', async () => {
    const [entityId, first, second] = await twoDevices('Take 5 mg.\n');
    first.replace('5', '10');
    second.replace('5', '20');
    await first.push();
    await second.push();
    const [point] = await rows<{ epoch: number; sequence: string; state_hash: string }>(
      'SELECT epoch, sequence, state_hash FROM sync_document_backup WHERE entity_id = $1',
      [entityId],
    );
    if (!point) throw new Error('there is no backup');
    const to = { epoch: point.epoch, sequence: Number(point.sequence), stateHash: point.state_hash };
    const body = await test.database.inTenant(TENANT, (tx) => kept.restoreChange(tx, keyOf(entityId), to));
    await change(entityId, { title: 'Page', body });
    expect((await pageNow(entityId)).text).toBe('Take 10 mg.\n');
    second.text.insert(second.text.length, 'More.\n');
    expect(codesOf(await second.push())).toEqual(['applied']);
    expect((await pageNow(entityId)).text).toBe('Take 10 mg.\nMore.\n');
    const wrong = test.database.inTenant(TENANT, (tx) =>
      kept.restoreChange(tx, keyOf(entityId), { ...to, stateHash: 'other' }),
    );
    await expect(wrong).rejects.toThrow(DocumentHistoryError);
    const early = test.database.inTenant(TENANT, (tx) =>
      kept.restoreChange(tx, keyOf(entityId), { epoch: 1, sequence: 0 }),
    );
    await expect(early).rejects.toThrow(DocumentHistoryError);
  });

  it('begins a new epoch when it is replaced or made again, and takes nothing that was written to the old one', async () => {
    const [entityId, device] = await twoDevices('old');
    device.text.insert(3, ' words');
    await change(entityId, { title: 'Page', body: updateOf('new', 2 ** 32 + 2), epoch: 2 });
    expect(await pageNow(entityId)).toMatchObject({ text: 'new', epoch: 2 });
    expect(codesOf(await device.push())).toEqual(['document_replaced']);
    expect(await pageNow(entityId)).toMatchObject({ text: 'new', epoch: 2 });
    await change(entityId, null);
    const lost = test.database.inTenant(TENANT, (tx) =>
      kept.restoreChange(tx, keyOf(entityId), { epoch: 2, sequence: 1 }),
    );
    await expect(lost).rejects.toThrow(DocumentHistoryError);
    await change(entityId, { title: 'Page', body: updateOf('third', 2 ** 32 + 3) });
    expect(await pageNow(entityId)).toMatchObject({ text: 'third', epoch: 3 });
  });

  it('refuses what would make the document too large, and leaves it as it was', async () => {
    const small = new KeptDocuments({ field: 'body', logger, pool, maxStateBytes: 2_000 });
    const [entityId, device] = await twoDevices('text');
    device.text.insert(0, 'x'.repeat(3_000));
    const [mutation] = [device.merge(Y.encodeStateAsUpdate(device.doc))];
    const { revision, clock } = await pageNow(entityId);
    const sent = { ...mutation, clock: mergeClocks(clock, mutation.clock), expectedRevision: revision };
    const results = await answerPush(context, small.define({ ...definition }), {
      tenantId: TENANT,
      mutations: [sent],
    });
    expect(codesOf(results)).toEqual(['document_too_large']);
    expect((await pageNow(entityId)).text).toBe('text');
  });

  it('adds at most a tenth to the log for going back, and forgets what is older than it has to keep', async () => {
    const [entityId, device, away] = await twoDevices('');
    const random = new SeededRandom(1);
    for (let batch = 0; batch < 12; batch += 1) {
      for (let typed = 0; typed < 100; typed += 1) {
        device.text.insert(device.text.length, random.pick(['a', 'word ', '\n']));
      }
      await device.push();
    }
    const [size] = await rows<{ log: number; bases: number; kept: number }>(
      `SELECT (SELECT sum(length(doc_update) + 120) FROM sync_document_update WHERE entity_id = $1)::int4 AS log,
              (SELECT sum(length(state)) FROM sync_document_base WHERE entity_id = $1)::int4 AS bases,
              (SELECT count(*) FROM sync_document_base WHERE entity_id = $1)::int4 AS kept`,
      [entityId],
    );
    expect(size?.kept).toBeGreaterThan(1);
    expect((size?.bases ?? 0) / (size?.log ?? 1)).toBeLessThanOrEqual(0.1);
    await rows(`UPDATE sync_document_base SET at = at - interval '31 d' WHERE entity_id = $1`, [entityId]);
    for (let typed = 0; typed < 400; typed += 1) device.text.insert(0, 'x');
    await device.push();
    const [left] = await rows<{ oldest: string; floor: string }>(
      `SELECT (SELECT min(sequence) FROM sync_document_update WHERE entity_id = $1 AND doc_update <> '') AS oldest,
              (SELECT min(sequence) FROM sync_document_base WHERE entity_id = $1) AS floor`,
      [entityId],
    );
    expect(Number(left?.oldest)).toBe(Number(left?.floor) + 1);
    away.text.insert(0, 'y');
    expect((await away.push()).at(-1)).toMatchObject({ overlaps: { grade: 'severe', compared: false } });
  });
});
