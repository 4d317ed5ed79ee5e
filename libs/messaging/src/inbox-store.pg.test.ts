import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { beginBatches, readWatermarks, WatermarkMovedError, type LaneStep } from './inbox-store.ts';
import { LeaseLostError, type Lease } from './lease.ts';
import { messagingMigrations } from './migration.ts';

const LEASE: Lease = { name: 'consume:c:S:0', holder: 'me', token: '3' };
const GRANT = `INSERT INTO sync_lease VALUES ($1, $2, $3, clock_timestamp() + interval '1 minute')`;
const PLACE = { consumer: 'c', stream: 'S', producer: 'learning', partition: 0, epoch: 'e1' };

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  const migrations = messagingMigrations;
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'inbox', migrations });
  ({ database } = test);
});
afterAll(() => test.drop());
beforeEach(async () => {
  await database.call('lease', GRANT, [LEASE.name, LEASE.holder, LEASE.token]);
});
afterEach(() => database.transaction((tx) => tx.query('DELETE FROM sync_inbox; DELETE FROM sync_lease')));

function step(expected: number, number: number, lease = LEASE, place = PLACE): LaneStep {
  return { lease, advance: { ...place, expected, number }, tenants: undefined };
}

const plain = (lease = LEASE, tenants?: string): LaneStep => ({ lease, advance: undefined, tenants });

async function advance(...given: Parameters<typeof step>): Promise<void> {
  const [refusal] = await database.transaction((tx) => beginBatches(tx, [step(...given)]));
  if (refusal !== undefined) throw refusal;
}

async function watermarks(): Promise<string[]> {
  return (await readWatermarks(database, PLACE)).map(
    ({ producer, epoch, number }) => `${producer} ${epoch} ${number}`,
  );
}

it('advances step by step', async () => {
  await advance(0, 5);
  await advance(5, 9);
  expect(await watermarks()).toEqual(['learning e1 9']);
});

it.each([
  ['the first step again', 0, 3],
  ['a step that was taken before', 3, 5],
  ['a step from the future', 7, 9],
])('refuses %s', async (_what, expected, number) => {
  await advance(0, 5);
  await expect(advance(expected, number)).rejects.toThrow(WatermarkMovedError);
  expect(await watermarks()).toEqual(['learning e1 5']);
});

it('refuses a step from a number that was never reached', async () => {
  await expect(advance(4, 5)).rejects.toThrow(WatermarkMovedError);
  expect(await watermarks()).toEqual([]);
});

it('lets one of two transactions that take the same step win', async () => {
  await advance(0, 5);
  const results = await Promise.allSettled([advance(5, 6), advance(5, 6), advance(5, 6)]);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

it('keeps epochs, producers and consumers apart', async () => {
  await advance(0, 5);
  await advance(0, 1, LEASE, { ...PLACE, epoch: 'e2' });
  await advance(0, 2, LEASE, { ...PLACE, producer: 'authoring' });
  await advance(0, 3, LEASE, { ...PLACE, consumer: 'other' });
  expect((await watermarks()).sort()).toEqual(['authoring e1 2', 'learning e1 5', 'learning e2 1']);
});

it.each([
  ['another holder', { ...LEASE, holder: 'other' }],
  ['an old token', { ...LEASE, token: '2' }],
  ['another name', { ...LEASE, name: 'consume:c:S:1' }],
])('writes 0 rows under the lease of %s', async (_who, lease) => {
  await expect(advance(0, 5, lease)).rejects.toThrow(LeaseLostError);
  expect(await watermarks()).toEqual([]);
});

it('writes 0 rows under an expired lease, with numbers or without', async () => {
  await database.call('expire', 'UPDATE sync_lease SET expires_at = clock_timestamp()', []);
  await expect(advance(0, 5)).rejects.toThrow(LeaseLostError);
  const refusals = await database.transaction((tx) => beginBatches(tx, [plain()]));
  expect(refusals).toEqual([expect.any(LeaseLostError)]);
});

it('locks the lease until the transaction ends', async () => {
  await database.transaction(async (tx) => {
    await beginBatches(tx, [step(0, 1)]);
    const free = await database.call(
      'takeover',
      'SELECT 1 FROM sync_lease WHERE name = $1 FOR UPDATE SKIP LOCKED',
      [LEASE.name],
    );
    expect(free).toEqual([]);
  });
});

describe('a transaction of several lanes', () => {
  const other = { ...LEASE, name: 'consume:c:S:1' };
  beforeEach(async () => {
    await database.call('lease', GRANT, [other.name, other.holder, other.token]);
  });

  it('advances all of them in one round trip', async () => {
    await advance(0, 5);
    const steps = [
      step(5, 7),
      step(0, 1, LEASE, { ...PLACE, producer: 'authoring' }),
      step(0, 3, other, { ...PLACE, partition: 1 }),
      plain(other),
    ];
    const before = database.roundTrips;
    expect(await database.transaction((tx) => beginBatches(tx, steps))).toEqual(Array(4).fill(undefined));
    expect(database.roundTrips - before).toBeLessThanOrEqual(3); // with BEGIN and COMMIT
    expect((await watermarks()).sort()).toEqual(['authoring e1 1', 'learning e1 7']);
    expect(await readWatermarks(database, { ...PLACE, partition: 1 })).toMatchObject([{ number: 3 }]);
  });

  it('leaves out those whose lease is lost or whose watermark has moved, and their tenants', async () => {
    await advance(0, 5);
    const steps = [
      { ...step(0, 9), tenants: 'moved' },
      { ...step(0, 3, { ...other, token: '2' }, { ...PLACE, partition: 1 }), tenants: 'stolen' },
      { ...step(0, 4, LEASE, { ...PLACE, producer: 'authoring' }), tenants: 'beta,alpha' },
      plain(other, 'alpha'),
      plain({ ...other, holder: 'somebody' }, 'foreign'),
    ];
    const read = `SELECT current_setting('app.tenant', true) AS tenants`;
    const [refusals, rows] = await database.transaction(async (tx) => [
      await beginBatches(tx, steps),
      await tx.query(read),
    ]);
    const isMoved: unknown = expect.any(WatermarkMovedError);
    const isLost: unknown = expect.any(LeaseLostError);
    expect(refusals).toEqual([isMoved, isLost, undefined, undefined, isLost]);
    expect(rows).toEqual([{ tenants: 'alpha,beta' }]);
    expect((await watermarks()).sort()).toEqual(['authoring e1 4', 'learning e1 5']);
    expect(await readWatermarks(database, { ...PLACE, partition: 1 })).toEqual([]);
  });
});

it('lets a process of an older version go on with its own statement', async () => {
  await advance(0, 5);
  const [row] = await database.call<{ verdict: string }>(
    'sync_inbox_begin',
    'SELECT sync_inbox_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS verdict',
    [LEASE.name, LEASE.holder, LEASE.token, 'c', 'S', 'learning', 0, 'e1', 5, 6, null],
  );
  expect(row?.verdict).toBe('ok');
  await advance(6, 7);
});

it('sets the tenants for this transaction only', async () => {
  const read = `SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none') AS tenants`;
  const inside = await database.transaction(async (tx) => {
    await beginBatches(tx, [plain(LEASE, 'alpha,beta')]);
    return tx.query<{ tenants: string }>(read);
  });
  expect(inside).toEqual([{ tenants: 'alpha,beta' }]);
  expect(await database.transaction((tx) => tx.query(read))).toEqual([{ tenants: 'none' }]);
});
