import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Database } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { beginBatch, readWatermarks, WatermarkMovedError, type Advance } from './inbox-store.ts';
import { LeaseLostError, type Lease } from './lease.ts';
import { messagingMigrations } from './migration.ts';

const LEASE: Lease = { name: 'consume:c:S:0', holder: 'me', token: '3' };
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
  await database.call(
    'lease',
    `INSERT INTO sync_lease VALUES ($1, $2, $3, clock_timestamp() + interval '1 minute')`,
    [LEASE.name, LEASE.holder, LEASE.token],
  );
});
afterEach(() => database.transaction((tx) => tx.query('DELETE FROM sync_inbox; DELETE FROM sync_lease')));

function advance(expected: number, number: number, lease = LEASE, place = PLACE): Promise<void> {
  const step: Advance = { ...place, expected, number };
  return database.transaction((tx) => beginBatch(tx, lease, step, undefined));
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
  const plain = database.transaction((tx) => beginBatch(tx, LEASE, undefined, undefined));
  await expect(plain).rejects.toThrow(LeaseLostError);
});

it('locks the lease until the transaction ends', async () => {
  await database.transaction(async (tx) => {
    await beginBatch(tx, LEASE, { ...PLACE, expected: 0, number: 1 }, undefined);
    const free = await database.call(
      'takeover',
      'SELECT 1 FROM sync_lease WHERE name = $1 FOR UPDATE SKIP LOCKED',
      [LEASE.name],
    );
    expect(free).toEqual([]);
  });
});

it('sets the tenants for this transaction only', async () => {
  const read = `SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none') AS tenants`;
  const inside = await database.transaction(async (tx) => {
    await beginBatch(tx, LEASE, undefined, 'alpha,beta');
    return tx.query<{ tenants: string }>(read);
  });
  expect(inside).toEqual([{ tenants: 'alpha,beta' }]);
  expect(await database.transaction((tx) => tx.query(read))).toEqual([{ tenants: 'none' }]);
});
