import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { migrate } from './migrate.ts';
import { isPassing, isTooSlow, sqlStateOf } from './sql-errors.ts';
import { tenantPolicySql } from './tenants.ts';
import { createTestDatabase, startPostgres, type TestDatabase } from './testing/index.ts';

class CreateThings1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE thing (tenant_id text PRIMARY KEY, data jsonb)');
    await runner.query(tenantPolicySql('thing'));
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

class KeepText1764000000100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE thing ALTER COLUMN data TYPE json');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

class OtherIds1764000000200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('DROP POLICY tenant_isolation ON thing');
    await runner.query('ALTER TABLE thing ALTER COLUMN tenant_id TYPE varchar(64)');
    await runner.query(tenantPolicySql('thing'));
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

const LIMITS = { statementMs: 100, lockMs: 50 };
let test: TestDatabase;
beforeAll(async () => {
  const migrations = [CreateThings1764000000000];
  test = await createTestDatabase({
    postgres: await startPostgres(),
    name: 'limits',
    migrations,
    poolSize: 2,
  });
});
afterAll(() => test.drop());

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a transaction with limits of its own', () => {
  it('ends a statement that takes too long, and says so', async () => {
    const slow = test.database.inTenant('t1', (tx) => tx.query('SELECT pg_sleep(60)'), LIMITS);
    const failure = await failureOf(slow);
    expect([isTooSlow(failure), isPassing(failure)]).toEqual([true, true]);
  });

  it('waits for a lock no longer than that', async () => {
    await test.database.inTenant('t1', (tx) => tx.query(`INSERT INTO thing VALUES ('t1', '{}')`));
    const lock = `SELECT FROM thing WHERE tenant_id = 't1' FOR UPDATE`;
    const failure = await test.database.inTenant('t1', async (tx) => {
      await tx.query(lock);
      return failureOf(test.database.inTenant('t1', (other) => other.query(lock), LIMITS));
    });
    expect([sqlStateOf(failure), isTooSlow(failure), isPassing(failure)]).toEqual(['55P03', false, true]);
  });

  it('leaves none of them to the next', async () => {
    await Promise.all([1, 2].map(() => test.database.inTenant('t1', (tx) => tx.query('SELECT 1'), LIMITS)));
    const settings = `SELECT current_setting('statement_timeout') AS statement,
      current_setting('lock_timeout') AS lock`;
    const rows = await test.database.inTenant('t1', (tx) => tx.query(settings));
    expect(rows).toEqual([{ statement: '30s', lock: '0' }]);
  });
});

describe('what was prepared before a migration changed its columns', () => {
  it('fails at most once on a connection', async () => {
    const read = (): Promise<unknown[]> =>
      test.database.inTenant('t1', (tx) => tx.call('read_things', 'SELECT data FROM thing', []));
    const call = (): Promise<unknown[]> => test.database.call('call_things', 'SELECT data FROM thing', []);
    await Promise.all([read(), read()]);
    await Promise.all([call(), call()]);
    const migrations = [CreateThings1764000000000, KeepText1764000000100];
    await migrate({ ownerUrl: test.ownerUrl, migrations });
    // Two connections, and two statements on each.
    for (let once = 0; once < 4; once += 1) await failureOf(once < 2 ? read() : call());
    expect(await Promise.all([read(), read(), call(), call()])).toEqual([
      [{ data: {} }],
      [{ data: {} }],
      [],
      [],
    ]);
  });

  it('fails so too where somebody goes on without it, behind a savepoint', async () => {
    const read = (): Promise<unknown> =>
      test.database.inTenant('t1', async (tx) => {
        await tx.query('SAVEPOINT before');
        const [failed, rows] = await tx.call('read_ids', 'SELECT tenant_id FROM thing', []).then(
          (found) => [false, found],
          () => [true, []],
        );
        await tx.query('ROLLBACK TO SAVEPOINT before');
        return failed ? 'failed' : rows;
      });
    await Promise.all([read(), read()]);
    const migrations = [CreateThings1764000000000, KeepText1764000000100, OtherIds1764000000200];
    await migrate({ ownerUrl: test.ownerUrl, migrations });
    expect(await Promise.all([read(), read()])).toEqual(['failed', 'failed']);
    expect(await Promise.all([read(), read()])).toEqual([[{ tenant_id: 't1' }], [{ tenant_id: 't1' }]]);
  });
});
