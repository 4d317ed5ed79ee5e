import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import fc from 'fast-check';
import { messagingMigrations } from './migration.ts';
import { partitionOf } from './partition.ts';

let test: TestDatabase;
beforeAll(async () => {
  const migrations = messagingMigrations;
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'partition', migrations });
});
afterAll(() => test.drop());

it('gives every key the same partition in SQL as here', async () => {
  // Postgres text holds no NUL; everything else may stand in an entity id of a foreign service.
  const keys = fc.sample(
    fc.string({ unit: 'binary', maxLength: 60 }).filter((key) => !key.includes('\u0000')),
    500,
  );
  const partitions = keys.map((_, index) => 1 + (index % 64));
  const rows = await test.database.call<{ partition: number }>(
    'partitions',
    `SELECT sync_partition_of(k.key, k.partitions) AS partition
     FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS k (key, partitions, place) ORDER BY k.place`,
    [keys, partitions],
  );
  expect(rows.map(({ partition }) => partition)).toEqual(
    keys.map((key, index) => partitionOf(key, partitions[index] ?? 0)),
  );
});
