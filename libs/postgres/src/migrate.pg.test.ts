import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Database } from './database.ts';
import { type FunctionScript, functionSchemaOf } from './function-schema.ts';
import { migrate } from './migrate.ts';
import { provision, type ProvisionedDatabase } from './provision.ts';
import { isUnavailable } from './sql-errors.ts';
import { createTestDatabase, startPostgres, type RunningPostgres } from './testing/index.ts';

class CreateFirst1764000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE first (id bigserial PRIMARY KEY, text text)');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

class CreateSecond1764000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE second (id int4)');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

class Broken1764000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE half (id int4)');
    await runner.query('SELECT 1/0');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

const answer = (n: number): FunctionScript => ({
  name: 'answer.sql',
  sql: `CREATE FUNCTION answer() RETURNS int4 LANGUAGE sql AS 'SELECT ${n}'`,
});

let postgres: RunningPostgres;
const freshName = (): string => `m_${randomBytes(4).toString('hex')}`;

beforeAll(async () => {
  postgres = await startPostgres();
});

async function freshDatabase(): Promise<ProvisionedDatabase> {
  return provision({ adminUrl: postgres.adminUrl, name: freshName() });
}

/** Runs one statement as the app role. @param functions those of the build that the app is of */
async function asApp<T>(
  appUrl: string,
  sql: string,
  functions: readonly FunctionScript[] = [],
): Promise<T[]> {
  const functionSchema = functionSchemaOf(functions);
  const app = await Database.connect({ url: appUrl, applicationName: 'app', functionSchema, poolSize: 1 });
  try {
    return await app.call<T>('only', sql, []);
  } finally {
    await app.close();
  }
}

describe('migrate', () => {
  it('applies what is new, in order, and nothing twice', async () => {
    const { ownerUrl } = await freshDatabase();
    const first = await migrate({
      ownerUrl,
      migrations: [CreateFirst1764000000001],
      functions: [answer(1)],
    });
    expect(first).toEqual({ migrations: ['CreateFirst1764000000001'], functions: ['answer.sql'] });
    const both = [CreateSecond1764000000002, CreateFirst1764000000001];
    const second = await migrate({ ownerUrl, migrations: both, functions: [answer(1)] });
    expect(second).toEqual({ migrations: ['CreateSecond1764000000002'], functions: [] });
    expect(await migrate({ ownerUrl, migrations: both, functions: [answer(1)] })).toEqual({
      migrations: [],
      functions: [],
    });
  });

  it('lets builds with other functions work side by side, also one that comes back', async () => {
    const { ownerUrl, appUrl } = await freshDatabase();
    const call = (n: number): Promise<unknown> => asApp(appUrl, 'SELECT answer() AS n', [answer(n)]);
    await migrate({ ownerUrl, migrations: [], functions: [answer(1)] });
    const other = { name: 'answer.sql', sql: answer(2).sql.replace('answer()', 'answer(p integer = 0)') };
    await migrate({ ownerUrl, migrations: [], functions: [other] });
    expect(await call(1)).toEqual([{ n: 1 }]);
    expect(await asApp(appUrl, 'SELECT answer(7) AS n', [other])).toEqual([{ n: 2 }]);
    const again = await migrate({ ownerUrl, migrations: [], functions: [answer(1)] });
    expect(again.functions).toEqual([]);
    expect(await call(1)).toEqual([{ n: 1 }]);
  });

  it.each([
    { days: 31, kept: [1, 3, 11], dropped: [2] },
    { days: 29, kept: [1, 2, 3, 11], dropped: [] },
  ])(
    'of more than ten builds, the last of which started $days days ago, drops those of $dropped',
    async ({ days, kept, dropped }) => {
      const { ownerUrl, appUrl } = await freshDatabase();
      const start = (n: number): Promise<unknown> =>
        migrate({ ownerUrl, migrations: [], functions: [answer(n)] });
      for (let n = 1; n <= 10; n += 1) await start(n);
      await start(1);
      const owner = await Database.connect({ url: ownerUrl, applicationName: 'owner', poolSize: 1 });
      const age = `UPDATE function_schema SET started_at = started_at - make_interval(days => $1)`;
      await owner.call('age', age, [days]);
      await owner.close();
      await start(11);
      const call = (n: number): Promise<unknown> => asApp(appUrl, 'SELECT answer() AS n', [answer(n)]);
      for (const n of kept) expect(await call(n)).toEqual([{ n }]);
      for (const n of dropped) await expect(call(n)).rejects.toThrow('functions of this build are not in');
    },
  );

  it('lets no process work without the functions of its build, nor with those of another one', async () => {
    const { ownerUrl, appUrl } = await freshDatabase();
    await migrate({ ownerUrl, migrations: [], functions: [answer(1)] });
    const early = asApp(appUrl, 'SELECT 1 AS n', [answer(2)]);
    await expect(early).rejects.toThrow(
      'the functions of this build are not in the database yet: start one process with DATABASE_OWNER_URL',
    );
    expect(isUnavailable(await early.catch((error: unknown) => error))).toBe(true);
    await migrate({ ownerUrl, migrations: [], functions: [answer(2)] });
    expect(await asApp(appUrl, 'SELECT answer() AS n', [answer(2)])).toEqual([{ n: 2 }]);
  });

  it('gives the app fewer rights on the tables that are named, however often it runs', async () => {
    const { ownerUrl, appUrl } = await freshDatabase();
    const appRights = [{ table: 'first', rights: 'SELECT, INSERT, UPDATE (text)' }];
    for (let run = 0; run < 2; run += 1)
      await migrate({ ownerUrl, migrations: [CreateFirst1764000000001], appRights });
    await asApp(appUrl, `INSERT INTO first (text) VALUES ('a')`);
    await asApp(appUrl, `UPDATE first SET text = 'b'`);
    await expect(asApp(appUrl, 'UPDATE first SET id = 7')).rejects.toThrow('permission denied');
    await expect(asApp(appUrl, 'DELETE FROM first')).rejects.toThrow('permission denied');
  });

  it('lets replicas that start together queue: each thing is applied by one of them', async () => {
    const { ownerUrl } = await freshDatabase();
    const migrations = [CreateFirst1764000000001, CreateSecond1764000000002];
    const start = (): ReturnType<typeof migrate> => migrate({ ownerUrl, migrations, functions: [answer(3)] });
    const reports = await Promise.all([start(), start(), start(), start()]);
    expect(reports.flatMap((report) => report.migrations)).toHaveLength(2);
    expect(reports.flatMap((report) => report.functions)).toHaveLength(1);
  });

  it('gives the app role rows, sequences and functions, now and for what comes later', async () => {
    const { ownerUrl, appUrl } = await freshDatabase();
    await migrate({ ownerUrl, migrations: [CreateFirst1764000000001], functions: [answer(1)] });
    const owner = await Database.connect({ url: ownerUrl, applicationName: 'owner', poolSize: 1 });
    await owner.call('later', 'CREATE TABLE later (id bigserial, text text)', []);
    await owner.close();
    for (const table of ['first', 'later']) {
      const rows = await asApp(appUrl, `INSERT INTO ${table} (text) VALUES ('x') RETURNING id`);
      expect(rows).toEqual([{ id: '1' }]);
      await asApp(appUrl, `DELETE FROM ${table}`);
    }
    await expect(asApp(appUrl, 'TRUNCATE first')).rejects.toThrow('permission denied');
    await expect(asApp(appUrl, 'DELETE FROM function_schema')).rejects.toThrow('permission denied');
  });

  it('leaves nothing of a migration that failed, and keeps the ones before it', async () => {
    const { ownerUrl, appUrl } = await freshDatabase();
    const migrations = [CreateFirst1764000000001, Broken1764000000003];
    await expect(migrate({ ownerUrl, migrations })).rejects.toThrow(/Broken1764000000003.*division by zero/);
    await migrate({ ownerUrl, migrations: [CreateFirst1764000000001] });
    const found = await asApp(
      appUrl,
      `SELECT to_regclass('first') IS NOT NULL AS first, to_regclass('half') AS half`,
    );
    expect(found).toEqual([{ first: true, half: null }]);
  });

  it('names the script that failed, and undoes the ones beside it', async () => {
    const { ownerUrl } = await freshDatabase();
    const functions = [answer(1), { name: 'broken.sql', sql: 'CREATE FUNCTION' }];
    await expect(migrate({ ownerUrl, migrations: [], functions })).rejects.toThrow(
      /broken\.sql cannot be created: syntax/,
    );
    const repaired = await migrate({ ownerUrl, migrations: [], functions: [answer(1)] });
    expect(repaired.functions).toEqual(['answer.sql']);
  });

  it('asks for the app role when the owner role does not tell it', async () => {
    await expect(migrate({ ownerUrl: postgres.adminUrl, migrations: [] })).rejects.toThrow('give appRole');
  });
});

describe('provision', () => {
  it('answers the same a second time, also when called at once, and keeps the data', async () => {
    const name = freshName();
    const calls = [1, 2, 3].map(() => provision({ adminUrl: postgres.adminUrl, name }));
    const [first, ...others] = await Promise.all(calls);
    for (const other of others) expect(other).toEqual(first);
    expect(first?.appUrl).toContain(`${name}_app:`);
    const ownerUrl = first?.ownerUrl ?? '';
    await migrate({ ownerUrl, migrations: [CreateFirst1764000000001] });
    await provision({ adminUrl: postgres.adminUrl, name });
    expect((await migrate({ ownerUrl, migrations: [CreateFirst1764000000001] })).migrations).toEqual([]);
  });

  it("closes one app's database to another app's roles", async () => {
    const [mine, other] = [await freshDatabase(), await freshDatabase()];
    const foreign = new URL(mine.appUrl);
    foreign.pathname = new URL(other.appUrl).pathname;
    await expect(asApp(foreign.href, 'SELECT 1')).rejects.toThrow(/permission denied for database/);
  });

  it('refuses names that need quoting and roles that could bypass the policies', async () => {
    const { adminUrl } = postgres;
    await expect(provision({ adminUrl, name: 'Bad"name' })).rejects.toThrow(RangeError);
    const name = freshName();
    const admin = await Database.connect({ url: adminUrl, applicationName: 'admin', poolSize: 1 });
    await admin.call('role', `CREATE ROLE ${name}_app BYPASSRLS`, []);
    await admin.close();
    await expect(provision({ adminUrl, name })).rejects.toThrow('bypass row level security');
  });

  it('asks for a secret when the admin has no password', async () => {
    const url = new URL(postgres.adminUrl);
    url.password = '';
    await expect(provision({ adminUrl: url.href, name: freshName() })).rejects.toThrow('passwordSecret');
  });
});

describe('createTestDatabase', () => {
  it('gives each caller its own copy of one migrated template', async () => {
    const create = (): ReturnType<typeof createTestDatabase> =>
      createTestDatabase({ postgres, name: 'copies', migrations: [CreateFirst1764000000001] });
    const [one, two] = await Promise.all([create(), create()]);
    await one.database.call('insert', `INSERT INTO first (text) VALUES ('one')`, []);
    expect(await two.database.call('select', 'SELECT * FROM first', [])).toEqual([]);
    const { appUrl } = one;
    await Promise.all([one.drop(), two.drop()]);
    await expect(asApp(appUrl, 'SELECT 1')).rejects.toThrow(/does not exist/);
  });

  it('never offers an old template for edited scripts', async () => {
    for (const n of [1, 2]) {
      const test = await createTestDatabase({ postgres, name: 'edited', functions: [answer(n)] });
      expect(await test.database.call('answer', 'SELECT answer() AS n', [])).toEqual([{ n }]);
      await test.drop();
    }
  });
});
