import { migrate, type MigrationClass } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { jsonEntityStore, jsonEntityTableSql, jsonEntityTextSql, ownerMigrations } from './index.ts';

/** The table as the SDK made it before it kept texts. */
class TableFromBefore1700000000200 implements MigrationInterface {
  readonly name = 'TableFromBefore1700000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(jsonEntityTableSql('note').replace('data json ', 'data jsonb '));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

class Table1700000000200 implements MigrationInterface {
  readonly name = 'Table1700000000200';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(jsonEntityTableSql('note'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

class KeepText1700000000300 implements MigrationInterface {
  readonly name = 'KeepText1700000000300';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(jsonEntityTextSql('note'));
  }

  async down(): Promise<void> {
    // Forward only.
  }
}

const TENANT = 'alpha';
const store = jsonEntityStore('note');
const numbers = [5e-324, -1.5e-300, 0.1, 1e-7, 123_456.789, 9_007_199_254_740_991, 0];
let test: TestDatabase;

const before: MigrationClass[] = [...ownerMigrations, TableFromBefore1700000000200];
beforeAll(async () => {
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'entities', migrations: before });
});
afterAll(() => test.drop());

async function put(entityId: string, data: Record<string, unknown>): Promise<void> {
  const row = { entityId, data, json: JSON.stringify(data) };
  await test.database.inTenant(TENANT, (tx) => store.store(tx, TENANT, [row]));
}

const load = (...entityIds: string[]): Promise<ReadonlyMap<string, object>> =>
  test.database.inTenant(TENANT, (tx) => store.load(tx, TENANT, entityIds));

async function textOf(entityId: string): Promise<string | undefined> {
  const [row] = await test.database.inTenant(TENANT, (tx) =>
    tx.query<{ text: string }>('SELECT data::text AS text FROM note WHERE entity_id = $1', [entityId]),
  );
  return row?.text;
}

describe('an entity as JSON', () => {
  it('goes into and comes out of a table from before, then is kept as the text that came', async () => {
    await put('old', { numbers });
    const migrations = [...before, KeepText1700000000300];
    await migrate({ ownerUrl: test.ownerUrl, migrations });
    const many = Array.from({ length: 37_000 }, () => 5e-324);
    await put('new', { z: numbers, a: many });
    // Not one byte more than was sent: a jsonb would give 12 MB back for these 259 KB.
    expect(await textOf('new')).toBe(JSON.stringify({ z: numbers, a: many }));
    expect(Object.fromEntries(await load('old', 'new'))).toEqual({
      old: { numbers },
      new: { z: numbers, a: many },
    });
    await put('old', { numbers });
    expect(await textOf('old')).toBe(JSON.stringify({ numbers }));
  });

  it('is kept so in a new table from the start, where the same migration changes nothing', async () => {
    const migrations = [...ownerMigrations, Table1700000000200, KeepText1700000000300];
    const fresh = await createTestDatabase({ postgres: await startPostgres(), name: 'fresh', migrations });
    const types = await fresh.database.call(
      'types',
      `SELECT data_type FROM information_schema.columns WHERE table_name = 'note' AND column_name = 'data'`,
      [],
    );
    expect(types).toEqual([{ data_type: 'json' }]);
    await fresh.drop();
  });
});
