import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { sqlStateOf } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';
import type { Author } from '../outcome/settlement.ts';
import { type Prepared, prepareMutation } from '../prepare/prepare-mutation.ts';
import { BACKLOG_FULL, type Received, ReceivePushes } from './receive-pushes.ts';

/** Pushes of several devices that come in one turn of the event loop, and so in one round trip. */
let test: TestDatabase;
let pushes: ReceivePushes;
beforeAll(async () => {
  test = await gatewayDatabase(6);
  pushes = new ReceivePushes(test.database, { visibleMs: 60_000, maxOpen: 3 });
});
afterAll(() => test.drop());

function newAuthor(tenantId = 'acme'): Author {
  return { tenantId, userId: 'ada', deviceId: randomUUID() };
}

function mutationsOf({ userId, deviceId }: Author, count: number): Prepared[] {
  return Array.from({ length: count }, (_, index) => {
    const mutation = {
      ...{ mutationId: randomUUID(), sequence: index + 1, scope: `user:${userId}`, entityType: 'note' },
      ...{ entityId: `n-${randomUUID()}`, op: 'put', data: { text: 'é, "}\u001e\n' }, baseClock: {} },
      ...{ occurredAt: new Date(0).toISOString(), schemaVersion: 1 },
    };
    return prepareMutation(mutation, { userId, deviceId, sentAtMs: null, serverNowMs: 0 }, false);
  });
}

function receive(author: Author, mutations: readonly Prepared[]): Promise<Received[]> {
  return pushes.receive(author, mutations, () => true);
}

/** Every row of the ledger that a push of this device has made, one line each: its id and its payload. */
async function storedOf({ tenantId, deviceId }: Author): Promise<string[]> {
  const rows = await test.database.inTenant(tenantId, (tx) =>
    tx.query<{ line: string }>(
      `SELECT k.id || ' ' || k.payload AS line FROM received_push r
       CROSS JOIN LATERAL ROWS FROM (unnest(r.mutation_ids), string_to_table(r.payloads, E'\\n')) k (id, payload)
       WHERE r.device_id = $1`,
      [deviceId],
    ),
  );
  return rows.map(({ line }) => line);
}

const linesOf = (mutations: readonly Prepared[]): string[] =>
  mutations.map(({ mutationId, payload }) => `${mutationId} ${payload}`);

async function roundTripsOf(work: () => Promise<unknown>): Promise<number> {
  const before = test.database.roundTrips;
  await work();
  return test.database.roundTrips - before;
}

describe('pushes that come together', () => {
  it('are one round trip, and each is stored as if it had come alone', async () => {
    const authors = [newAuthor(), newAuthor(), newAuthor('other')];
    const sent = authors.map((author, at) => ({ author, mutations: mutationsOf(author, at + 1) }));
    let answers: Received[][] = [];
    const trips = await roundTripsOf(async () => {
      answers = await Promise.all(sent.map(({ author, mutations }) => receive(author, mutations)));
    });
    expect(trips).toBe(1);
    for (const [at, { author, mutations }] of sent.entries()) {
      expect(await storedOf(author)).toEqual(linesOf(mutations));
      expect(answers[at]?.map(({ place, verdict, held }) => [place, verdict, held])).toEqual(
        mutations.map((_, place) => [place, 'new', true]),
      );
    }
  });

  it('are each refused or stored by themselves', async () => {
    const [full, good] = [newAuthor(), newAuthor()];
    await receive(full, mutationsOf(full, 3));
    const mutations = mutationsOf(good, 1);
    const refusal = receive(full, mutationsOf(full, 1)).catch((error: unknown) => sqlStateOf(error));
    const answered = receive(good, mutations);
    expect(await refusal).toBe(BACKLOG_FULL);
    expect((await answered)[0]).toMatchObject({ verdict: 'new' });
    expect(await storedOf(good)).toEqual(linesOf(mutations));
  });

  it('do not wait for a device that somebody else works on', async () => {
    const [busy, free] = [newAuthor(), newAuthor()];
    await receive(busy, mutationsOf(busy, 1));
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<undefined>();
    const locked = Promise.withResolvers<undefined>();
    const other = test.database.transaction(async (tx) => {
      await tx.query('SELECT FROM dispatch_queue WHERE device_id = $1 FOR UPDATE', [busy.deviceId]);
      locked.resolve(undefined);
      await mayEnd;
    });
    await locked.promise;
    let isBusyAnswered = false;
    const late = receive(busy, mutationsOf(busy, 1)).then((answer) => {
      isBusyAnswered = true;
      return answer;
    });
    const [answer] = await receive(free, mutationsOf(free, 1));
    expect([answer?.verdict, isBusyAnswered]).toEqual(['new', false]);
    end(undefined);
    await other;
    expect((await late)[0]?.verdict).toBe('new');
  });

  it('end each other in no deadlock where two replicas take devices and ids crosswise', async () => {
    const other = new ReceivePushes(test.database, { visibleMs: 60_000, maxOpen: 100 });
    const authors = Array.from({ length: 8 }, () => newAuthor());
    const shared = mutationsOf(authors[0] as Author, 1);
    const all = Array.from({ length: 10 }, () =>
      [pushes, other].flatMap((replica) =>
        authors.map((author) =>
          replica.receive(author, shared, () => true).then(() => 'received', sqlStateOf),
        ),
      ),
    );
    const ends = new Set((await Promise.all(all.flat())).map(String));
    expect([...ends].filter((end) => !['received', 'SY001', 'SY002'].includes(end))).toEqual([]);
  });
});
