import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { sqlStateOf } from '@sync/postgres';
import { STREAMS, type SyncEvent } from '@sync/protocol';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';
import type { Author, Settlement } from '../outcome/settlement.ts';
import { type Prepared, prepareMutation } from '../prepare/prepare-mutation.ts';
import { completePushes } from './complete-pushes.ts';
import { completionEvents } from './completion-events.ts';
import { type Completed, completionOf } from './completion.ts';
import { LedgerStore, SENT_TWICE } from './ledger-store.ts';

/** Pushes of several devices that end in one turn of the event loop, and so in one round trip. */
let test: TestDatabase;
let ledger: LedgerStore;
let completing: ReturnType<typeof completePushes>;
beforeAll(async () => {
  test = await gatewayDatabase(6);
  ledger = new LedgerStore(test.database, { visibleMs: 60_000, maxOpen: 100 });
  completing = completePushes(test.database);
});
afterAll(() => test.drop());

const APPLIED: Settlement = { kind: 'settled', status: 'applied', clock: { 'd:x': 1 } };

interface Sent {
  readonly author: Author;
  readonly mutations: readonly Prepared[];
}

function sentBy(author: Author, count: number): Sent {
  const { userId, deviceId } = author;
  const mutations = Array.from({ length: count }, (_, index) => {
    const mutation = {
      ...{ mutationId: randomUUID(), sequence: index + 1, scope: `user:${userId}`, entityType: 'note' },
      ...{ entityId: `n-${randomUUID()}`, op: 'put', data: { text: 'é, "}' }, baseClock: {} },
      ...{ occurredAt: new Date(0).toISOString(), schemaVersion: 1 },
    };
    return prepareMutation(mutation, { userId, deviceId, sentAtMs: null, serverNowMs: 0 }, false);
  });
  return { author, mutations };
}

const newAuthor = (tenantId = 'acme'): Author => ({ tenantId, userId: 'ada', deviceId: randomUUID() });

async function receive({ author, mutations }: Sent): Promise<void> {
  await ledger.receive(author, mutations, () => false);
}

function complete({ author, mutations }: Sent): Promise<ReadonlyMap<string, string | null>> {
  const nowIso = new Date(0).toISOString();
  const completed = mutations.map(({ mutationId, address }): Completed => {
    const settlement = APPLIED;
    return { mutationId, address, counter: 1, attempt: 0, fresh: true, delayMs: 500, settlement };
  });
  return completing.do(completionOf(author, completed, completionEvents(author, completed, nowIso, false)));
}

async function storedOf({ author: { tenantId, deviceId } }: Sent): Promise<[string, string][]> {
  const rows = await test.database.inTenant(tenantId, (tx) =>
    tx.query<{ mutation_id: string; outcome: string }>(
      'SELECT mutation_id, outcome FROM mutation WHERE device_id = $1 ORDER BY arrival',
      [deviceId],
    ),
  );
  return rows.map((row) => [row.mutation_id, row.outcome]);
}

/** How many applied mutations the sync events tell of, per device. */
async function toldOf({ author: { deviceId } }: Sent): Promise<unknown[]> {
  const rows = await test.database.transaction((tx) =>
    tx.query<{ payload: string }>(`SELECT payload FROM sync_outbox WHERE stream = 'SYNC_EVENTS' ORDER BY id`),
  );
  const events = rows.flatMap((row) => JSON.parse(row.payload) as SyncEvent[]);
  return events.filter((event) => event.deviceid === deviceId).map(({ data }) => data);
}

async function messages(): Promise<number> {
  const [row] = await test.database.call<{ count: number }>(
    'messages',
    'SELECT count(*)::int4 AS count FROM sync_outbox',
    [],
  );
  return row?.count ?? 0;
}

const outcomesOf = ({ mutations }: Sent): [string, string][] =>
  mutations.map(({ mutationId }) => [
    mutationId,
    `{"mutationId":"${mutationId}","status":"applied","clock":{"d:x":1}}`,
  ]);

describe('pushes that end together', () => {
  it('are stored in one round trip, and each is told of as if it had ended alone', async () => {
    const all = [newAuthor(), newAuthor(), newAuthor('other')].map((author, at) => sentBy(author, at + 1));
    for (const sent of all) await receive(sent);
    const before = test.database.roundTrips;
    const answers = await Promise.all(all.map(complete));
    expect(test.database.roundTrips - before).toBe(1);
    expect(answers).toEqual(all.map(() => new Map()));
    for (const [at, sent] of all.entries()) {
      expect(await storedOf(sent)).toEqual(outcomesOf(sent));
      expect(await toldOf(sent)).toEqual([{ counts: { applied: at + 1 }, mutations: [] }]);
    }
  });

  it('are told of in one message for each partition', async () => {
    const all = Array.from({ length: 12 }, () => sentBy(newAuthor(), 1));
    for (const sent of all) await receive(sent);
    const before = await messages();
    await Promise.all(all.map(complete));
    expect((await messages()) - before).toBeLessThanOrEqual(STREAMS.SYNC_EVENTS.partitions);
    for (const sent of all) expect(await toldOf(sent)).toEqual([{ counts: { applied: 1 }, mutations: [] }]);
  });

  it('are stored although one of them cannot be, whose error is its own', async () => {
    const [first, good] = [sentBy(newAuthor(), 1), sentBy(newAuthor(), 2)];
    const second = { author: newAuthor(), mutations: first.mutations };
    for (const sent of [first, second, good]) await receive(sent);
    await complete(first);
    const [late, stored] = await Promise.allSettled([complete(second), complete(good)]);
    expect(late).toMatchObject({ status: 'rejected' });
    expect(late.status === 'rejected' && sqlStateOf(late.reason)).toBe(SENT_TWICE);
    expect(stored).toMatchObject({ status: 'fulfilled' });
    expect(await storedOf(good)).toEqual(outcomesOf(good));
    expect(await storedOf(second)).toEqual([]);
    expect(await toldOf(second)).toEqual([]);
  });

  it('say each what was stored before', async () => {
    const [open, ended] = [sentBy(newAuthor(), 1), sentBy(newAuthor(), 1)];
    for (const sent of [open, ended]) await receive(sent);
    await complete(ended);
    const [first, again] = await Promise.all([complete(open), complete(ended)]);
    expect(first).toEqual(new Map());
    expect(again).toEqual(new Map(outcomesOf(ended)));
  });
});
