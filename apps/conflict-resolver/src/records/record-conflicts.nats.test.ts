import { randomUUID } from 'node:crypto';
import type { ConflictDraft } from '@sync/domain';
import { type Batch, connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { type Owner, startOwner } from '@sync/owner-sdk';
import { type TestDatabase, createTestDatabase, startPostgres } from '@sync/postgres/testing';
import { ConflictRecord, ConflictsRequest, type SyncEvent, subjects, validator } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import type { NatsConnection } from '@nats-io/transport-node';
import { APP_RIGHTS, MIGRATIONS, FUNCTIONS } from '../database/schema.ts';
import { answerList } from '../listing/answer-list.ts';
import { answerShow } from '../listing/answer-show.ts';
import { conflictEntity } from './conflict-entity.ts';
import { noSuggestions } from '../suggestions/suggestion-source.ts';
import { recordConflicts } from './record-conflicts.ts';

const DRAFT: ConflictDraft = {
  policy: 'lww',
  entityType: 'progress',
  entityId: 'p1',
  mutationId: randomUUID(),
  base: null,
  ours: { percent: 60 },
  theirs: { percent: 40 },
  theirsUpdate: null,
  fields: [{ field: 'percent', ours: 60, theirs: 40, winner: 'ours' }],
  decision: 'auto',
  clockOurs: { 'd:b': 1 },
  clockTheirs: { 'd:a': 1 },
};

function conflictEvent(tenantid: string, conflictId: string, time: string, draft = DRAFT): SyncEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'sync-gateway',
    type: 'sync.conflict.detected.v1',
    time,
    datacontenttype: 'application/json',
    tenantid,
    userid: 'u1',
    deviceid: 'd1',
    data: {
      conflictId,
      mutationId: DRAFT.mutationId,
      entityType: 'progress',
      entityId: 'p1',
      scope: 'user:u1',
      status: 'auto_resolved',
      draft,
    },
  };
}

const batchOf = (...payloads: readonly (readonly SyncEvent[])[]): Batch => ({
  stream: 'SYNC_EVENTS',
  partition: 0,
  producer: 'sync-gateway',
  epoch: 'e',
  messages: payloads.map((events, at) => ({ number: at + 1, payload: JSON.stringify(events), subject: '' })),
});

describe('conflict records', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let test: TestDatabase;
  let owner: Owner;
  const record = async (batch: Batch): Promise<number> =>
    (await test.database.transaction((tx) => recordConflicts(tx, [batch], owner, noSuggestions))).length;
  const list = (request: object): ReturnType<typeof answerList> =>
    answerList(test.database, { cursor: null, limit: 10, ...request });

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'test' });
    test = await createTestDatabase({
      postgres: await startPostgres(),
      name: 'resolver',
      migrations: MIGRATIONS,
      functions: FUNCTIONS,
      appRights: APP_RIGHTS,
    });
    owner = startOwner({
      service: 'conflict-resolver',
      database: test.database,
      nats,
      entities: [conflictEntity(noSuggestions)],
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
  });
  afterAll(async () => {
    await owner.stop();
    await nats.close();
    await server.stop();
    await test.drop();
  });

  it('stores each record once, however often its event comes, and keeps every value that lost', async () => {
    const event = conflictEvent('t1', randomUUID(), '2026-01-01T10:00:00.000Z');
    expect(await record(batchOf([event], [event]))).toBe(1);
    expect(await record(batchOf([event]))).toBe(0);
    const { conflicts } = await list({ tenantId: 't1' });
    expect(conflicts).toMatchObject([{ status: 'auto_resolved', fields: ['percent'], resolution: 'policy' }]);
    const [stored] = await test.database.inTenant('t1', (tx) =>
      tx.query<{ draft: ConflictDraft }>('SELECT draft FROM conflict_record'),
    );
    expect(stored?.draft.fields).toEqual([{ field: 'percent', ours: 60, theirs: 40, winner: 'ours' }]);
  });

  it('says which values of the base are not known, also in records from before it was told', async () => {
    const base = { base: { courseId: 'c1' }, baseUnknown: ['percent'] };
    const [known, before] = [randomUUID(), randomUUID()];
    const at = '2026-01-01T10:00:00.000Z';
    await record(batchOf([conflictEvent('t-base', known, at, { ...DRAFT, ...base })]));
    await record(batchOf([conflictEvent('t-base', before, at)]));
    const show = async (conflictId: string): Promise<ConflictRecord> =>
      (await answerShow(test.database, noSuggestions, { tenantId: 't-base', conflictId })).conflict;
    expect(await show(known)).toMatchObject(base);
    expect(await show(before)).toMatchObject({ base: null, baseUnknown: [''] });
  });

  it('announces a record to its user as an entity of type conflict', async () => {
    const conflictId = randomUUID();
    await record(batchOf([conflictEvent('t2', conflictId, '2026-01-01T10:00:00.000Z')]));
    const reply = await nats.request(
      subjects.snapshot('conflict-resolver', 'conflict'),
      JSON.stringify({ cursor: null, limit: 1000 }),
      { timeout: 5_000 },
    );
    const { entities } = reply.json<{
      entities: { tenantId: string; entityId: string; data: unknown }[];
    }>();
    const shown = entities.find(({ entityId }) => entityId === conflictId);
    expect(shown).toMatchObject({
      tenantId: 't2',
      revision: 1,
      data: {
        userId: 'u1',
        theirs: { percent: 40 },
        decision: { kind: 'policy' },
        decider: { kind: 'policy', policy: 'lww' },
        history: [{ what: 'detected' }, { what: 'resolved' }],
      },
    });
    expect(validator(ConflictRecord)(shown?.data)).toMatchObject({ ok: true });
  });

  it('passes over other sync events without touching the database', async () => {
    const other = {
      ...conflictEvent('t3', randomUUID(), '2026-01-01T10:00:00.000Z'),
      type: 'sync.cursor.advanced.v1',
    };
    expect(await record(batchOf([other as SyncEvent]))).toBe(0);
  });

  it('pages newest first without skipping, and shows one tenant only its own', async () => {
    const days = [1, 2, 2, 3, 4].map((day) => `2026-02-0${day}T00:00:00.000Z`);
    await record(batchOf(days.map((time) => conflictEvent('t4', randomUUID(), time))));
    const first = await list({ tenantId: 't4', limit: 2 });
    const second = await list({ tenantId: 't4', limit: 2, cursor: first.next });
    const third = await list({ tenantId: 't4', limit: 2, cursor: second.next });
    const seen = [first, second, third].flatMap(({ conflicts }) => conflicts);
    expect(seen.map(({ detectedAt }) => detectedAt.slice(0, 10))).toEqual([
      '2026-02-04',
      '2026-02-03',
      '2026-02-02',
      '2026-02-02',
      '2026-02-01',
    ]);
    expect(new Set(seen.map(({ conflictId }) => conflictId)).size).toBe(5);
    expect(third.next).toBeNull();
    expect((await list({ tenantId: 't5' })).conflicts).toEqual([]);
  });

  it('tells times in milliseconds in lists and single records, and skips none of one millisecond', async () => {
    const times = ['.123123Z', '.123456Z', '.123789Z'].map((end) => `2026-02-05T10:00:00${end}`);
    await record(batchOf(times.map((time) => conflictEvent('t-ms', randomUUID(), time))));
    const first = await list({ tenantId: 't-ms', limit: 1 });
    const second = await list({ tenantId: 't-ms', limit: 1, cursor: first.next });
    const third = await list({ tenantId: 't-ms', limit: 1, cursor: second.next });
    const seen = [first, second, third].flatMap(({ conflicts }) => conflicts);
    expect(new Set(seen.map(({ conflictId }) => conflictId)).size).toBe(3);
    for (const { conflictId, detectedAt, resolvedAt } of seen) {
      const { conflict } = await answerShow(test.database, noSuggestions, { tenantId: 't-ms', conflictId });
      expect({ detectedAt, resolvedAt }).toEqual({
        detectedAt: '2026-02-05T10:00:00.123Z',
        resolvedAt: '2026-02-05T10:00:00.123Z',
      });
      expect(conflict).toMatchObject({ detectedAt, resolvedAt });
    }
  });

  it('filters by status, policy, entity and time', async () => {
    const [early, late] = ['2026-03-01T00:00:00.000Z', '2026-03-02T00:00:00.000Z'];
    await record(
      batchOf([conflictEvent('t6', randomUUID(), early), conflictEvent('t6', randomUUID(), late)]),
    );
    const count = async (filter: object): Promise<number> =>
      (await list({ tenantId: 't6', ...filter })).conflicts.length;
    expect(await count({ from: late })).toBe(1);
    expect(await count({ from: early, to: late })).toBe(1);
    expect(await count({ to: early })).toBe(0);
    expect(await count({ status: 'auto_resolved', policy: 'lww', userId: 'u1', entityId: 'p1' })).toBe(2);
    expect(await count({ status: 'open' })).toBe(0);
    expect(await count({ policy: 'append_only' })).toBe(0);
    expect(await count({ userId: 'u2' })).toBe(0);
  });

  it('shows a record that fits no message without its copies, and never without what the mutation wrote', async () => {
    const conflictId = randomUUID();
    const event = conflictEvent('t7', conflictId, '2026-01-01T10:00:00.000Z');
    const [ours, theirs] = ['o'.repeat(400_000), 't'.repeat(200_000)];
    const draft: ConflictDraft = {
      ...DRAFT,
      ours: { text: ours },
      theirs: { text: theirs },
      fields: [{ field: 'text', ours: ours.slice(0, 1_000), theirs, winner: 'ours' }],
    };
    const data = { ...(event.data as object), draft } as SyncEvent['data'];
    expect(await record(batchOf([{ ...event, data }]))).toBe(1);
    const { conflict } = await answerShow(test.database, noSuggestions, { tenantId: 't7', conflictId });
    expect(conflict.omitted).toEqual(['decision', 'fields']);
    expect([conflict.theirs, conflict.ours]).toEqual([{ text: theirs }, { text: ours }]);
    expect(conflict.fields).toEqual([{ field: 'text', winner: 'ours' }]);
  });

  it('refuses a cursor that is not its own and a request that is none', async () => {
    await expect(list({ tenantId: 't4', cursor: 'bm9wZQ' })).rejects.toMatchObject({
      code: 'cursor_invalid',
    });
    await expect(list({ tenantId: 't4', limit: 0 })).rejects.toMatchObject({ code: 'schema_invalid' });
    expect(validator(ConflictsRequest)({ tenantId: 't4', cursor: null, limit: 10 }).ok).toBe(true);
  });
});
