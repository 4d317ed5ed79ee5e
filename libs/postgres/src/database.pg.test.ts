import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Column, Entity, PrimaryColumn, type MigrationInterface, type QueryRunner } from 'typeorm';
import { Database } from './database.ts';
import { isUnavailable, retryConflicts, sqlStateOf } from './sql-errors.ts';
import { InvalidTenantError, tenantPolicySql } from './tenants.ts';
import { createTestDatabase, startPostgres, type TestDatabase } from './testing/index.ts';
import { TransactionAbortedError } from './transaction.ts';

class CreateNotes1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE TABLE note (tenant_id text NOT NULL, id int8 NOT NULL, text text NOT NULL, PRIMARY KEY (tenant_id, id))',
    );
    await runner.query(tenantPolicySql('note'));
    await runner.query('CREATE TABLE counter (name text PRIMARY KEY, value int4 NOT NULL)');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

@Entity('counter')
class Counter {
  @PrimaryColumn('text')
  name!: string;
  @Column('int4')
  value!: number;
}

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  const postgres = await startPostgres();
  test = await createTestDatabase({
    postgres,
    name: 'database',
    migrations: [CreateNotes1764000000000],
    entities: [Counter],
    poolSize: 4,
  });
  database = test.database;
});

afterAll(async () => {
  await test.drop();
});

const addNote = (tenant: string, id: string, text = 'x'): Promise<unknown> =>
  database.inTenant(tenant, (tx) => tx.query('INSERT INTO note VALUES ($1, $2, $3)', [tenant, id, text]));

async function spentRoundTrips(work: () => Promise<unknown>): Promise<number> {
  const before = database.roundTrips;
  await work();
  return database.roundTrips - before;
}

describe('round trips', () => {
  it('call is one, also the first time on a connection', async () => {
    const spent = await spentRoundTrips(() => database.call('one', 'SELECT $1::int4 AS n', [7]));
    expect(spent).toBe(1);
    expect(await database.call('one', 'SELECT $1::int4 AS n', [8])).toEqual([{ n: 8 }]);
  });

  it('counts what TypeORM sends too', async () => {
    const repository = database.dataSource.getRepository(Counter);
    expect(await spentRoundTrips(() => repository.find())).toBe(1);
  });
});

describe('values', () => {
  it('keeps 64-bit integers exact by answering with strings', async () => {
    const rows = await database.call('int8', 'SELECT $1::int8 AS n', ['9007199254740993']);
    expect(rows).toEqual([{ n: '9007199254740993' }]);
  });

  it('reads each key of JSON as it was written, whatever was read before', async () => {
    const read = async (type: string, text: string): Promise<unknown> => {
      const rows = await database.call<{ v: unknown }>(`read_${type}`, `SELECT $1::${type} AS v`, [text]);
      return rows[0]?.v;
    };
    for (const type of ['json', 'jsonb']) {
      for (const key of ['\\', '"', '\n', 'plain']) {
        const value = { x: [], [key]: 1 };
        expect(await read(type, JSON.stringify(value))).toEqual(value);
      }
    }
  });

  it('refuses one statement name for two texts', async () => {
    const single = await Database.connect({ url: test.appUrl, applicationName: 'names', poolSize: 1 });
    await single.call('same', 'SELECT 1 AS n', []);
    await expect(single.call('same', 'SELECT 2 AS n', [])).rejects.toThrow(/same/);
    await single.close();
    await expect(database.call('x'.repeat(64), 'SELECT 1', [])).rejects.toThrow(RangeError);
  });

  it('answers several statements in one text with the rows of the last', async () => {
    const rows = await database.transaction((tx) => tx.query('SELECT 1 AS n; SELECT 2 AS n'));
    expect(rows).toEqual([{ n: 2 }]);
  });
});

describe('transaction', () => {
  it('rolls back when its function throws, and gives the connection back', async () => {
    for (let i = 0; i < 10; i += 1) {
      const failing = database.transaction(async (tx) => {
        await tx.query(`INSERT INTO counter VALUES ('rolled-back', 1)`);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
    }
    expect(await database.call('rb', `SELECT FROM counter WHERE name = 'rolled-back'`, [])).toEqual([]);
  });

  it('does not take a swallowed error for success', async () => {
    const swallowing = database.transaction(async (tx) => {
      await tx.query(`INSERT INTO counter VALUES ('swallowed', 1)`);
      await tx.query('SELECT 1/0').catch(() => undefined);
    });
    await expect(swallowing).rejects.toThrow(TransactionAbortedError);
  });

  it('refuses statements after its end', async () => {
    const tx = await database.transaction((open) => Promise.resolve(open));
    await expect(tx.query('SELECT 1')).rejects.toThrow('already ended');
    expect(() => tx.manager).toThrow('already ended');
  });

  it('gives TypeORM the same transaction, and nests with savepoints', async () => {
    await database.transaction(async (tx) => {
      await tx.manager.getRepository(Counter).insert({ name: 'outer', value: 1 });
      const inner = tx.manager.transaction(async (manager) => {
        await manager.getRepository(Counter).insert({ name: 'inner', value: 1 });
        throw new Error('only the inner one');
      });
      await expect(inner).rejects.toThrow('only the inner one');
      expect(await tx.query(`SELECT name FROM counter WHERE name IN ('outer','inner')`)).toEqual([
        { name: 'outer' },
      ]);
    });
    expect(await database.dataSource.getRepository(Counter).countBy({ name: 'outer' })).toBe(1);
  });

  it('keeps the connection after an error that Postgres reported', async () => {
    const single = await Database.connect({ url: test.appUrl, applicationName: 'healthy', poolSize: 1 });
    const backend = (): Promise<unknown> => single.call('pid', 'SELECT pg_backend_pid() AS pid', []);
    const before = await backend();
    await expect(single.call('bad', 'SELECT 1/0', [])).rejects.toThrow('division by zero');
    expect(await backend()).toEqual(before);
    await single.close();
  });
});

describe('deadlock', () => {
  it('is retried until both transactions are through', async () => {
    await database.call('seed', `INSERT INTO counter VALUES ('a', 0), ('b', 0)`, []);
    let victims = 0;
    let arrived = 0;
    let open = (): void => undefined;
    const bothHoldOne = new Promise<void>((resolve) => (open = resolve));
    let survivor = (): void => undefined;
    const oneIsThrough = new Promise<void>((resolve) => (survivor = resolve));
    const increment = (first: string, second: string): Promise<void> => {
      let attempts = 0;
      return retryConflicts(async () => {
        // The victim comes back when the other is through: meeting it again would be a second deadlock.
        if ((attempts += 1) > 1) await oneIsThrough;
        const update = `UPDATE counter SET value = value + 1 WHERE name = $1`;
        try {
          await database.transaction(async (tx) => {
            await tx.query(update, [first]);
            arrived += 1;
            if (arrived === 2) open();
            await bothHoldOne;
            await tx.query(update, [second]);
          });
          survivor();
        } catch (error) {
          if (sqlStateOf(error) === '40P01') victims += 1;
          throw error;
        }
      });
    };
    await Promise.all([increment('a', 'b'), increment('b', 'a')]);
    const rows = await database.call('sum', `SELECT value FROM counter WHERE name IN ('a','b')`, []);
    expect(rows).toEqual([{ value: 2 }, { value: 2 }]);
    expect(victims).toBe(1);
  });
});

describe('tenant isolation', () => {
  beforeAll(async () => {
    await addNote('alpha', '1', 'of alpha');
    await addNote('beta', '1', 'of beta');
    await addNote('gamma', '1', 'of gamma');
  });

  const visible = (tenants: string | string[]): Promise<{ text: string }[]> =>
    database.inTenant(tenants, (tx) =>
      tx.query(`SELECT text FROM note WHERE text LIKE 'of %' ORDER BY text`),
    );

  it('shows one tenant, or exactly the listed ones', async () => {
    expect(await visible('alpha')).toEqual([{ text: 'of alpha' }]);
    expect(await visible(['alpha', 'gamma'])).toEqual([{ text: 'of alpha' }, { text: 'of gamma' }]);
    expect(await visible('nobody')).toEqual([]);
  });

  it('shows nothing outside a tenant transaction, also on a connection that had a tenant', async () => {
    const single = await Database.connect({ url: test.appUrl, applicationName: 'alone', poolSize: 1 });
    await single.inTenant('alpha', (tx) => tx.query('SELECT 1'));
    expect(await single.call('notes', 'SELECT * FROM note', [])).toEqual([]);
    await single.close();
  });

  it('refuses to write for another tenant, to change or to delete there', async () => {
    const writing = database.inTenant('alpha', (tx) =>
      tx.query(`INSERT INTO note VALUES ('beta', 2, 'smuggled')`),
    );
    await expect(writing).rejects.toThrow(/row-level security/);
    const moving = database.inTenant('alpha', (tx) => tx.query(`UPDATE note SET tenant_id = 'beta', id = 3`));
    await expect(moving).rejects.toThrow(/row-level security/);
    await database.inTenant('alpha', (tx) => tx.query(`DELETE FROM note WHERE tenant_id = 'beta'`));
    expect(await visible('beta')).toEqual([{ text: 'of beta' }]);
  });

  it.each([[''], ['a,b'], [`a'; DROP TABLE note; --`], ['a'.repeat(65)], ['ä'], ['a\n']])(
    'refuses tenant id %j before anything is sent',
    async (id) => {
      const before = database.roundTrips;
      await expect(database.inTenant(id, () => Promise.resolve())).rejects.toThrow(InvalidTenantError);
      expect(database.roundTrips).toBe(before);
    },
  );

  it('refuses an empty list', async () => {
    await expect(database.inTenant([], () => Promise.resolve())).rejects.toThrow(InvalidTenantError);
  });

  it('leaves the app role no way around', async () => {
    const attempts = [
      'ALTER TABLE note DISABLE ROW LEVEL SECURITY',
      'DROP POLICY tenant_isolation ON note',
      'TRUNCATE note',
      'CREATE TABLE mine (id int)',
      'CREATE POLICY all_mine ON note USING (true)',
      `SET ROLE ${new URL(test.ownerUrl).username}`,
      'ALTER ROLE CURRENT_USER BYPASSRLS',
      'SELECT * FROM schema_migration',
    ];
    for (const sql of attempts) {
      await expect(database.transaction((tx) => tx.query(sql))).rejects.toThrow(
        /permission denied|must be owner/,
      );
    }
    const bypassing = database.transaction(async (tx) => {
      await tx.query('SET LOCAL row_security = off');
      return tx.query('SELECT * FROM note');
    });
    await expect(bypassing).rejects.toThrow(/row-level security/);
  });

  it('owns nothing and carries no dangerous attribute', async () => {
    const [role] = await database.call(
      'role',
      `SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication,
         (SELECT count(*)::int4 FROM pg_class WHERE relowner = r.oid) AS relations,
         (SELECT count(*)::int4 FROM pg_proc WHERE proowner = r.oid) AS functions
       FROM pg_roles r WHERE rolname = current_user`,
      [],
    );
    const no = { rolsuper: false, rolbypassrls: false, rolcreatedb: false, rolcreaterole: false };
    expect(role).toEqual({ ...no, rolreplication: false, relations: 0, functions: 0 });
  });

  it('binds the owner too', async () => {
    const owner = await Database.connect({ url: test.ownerUrl, applicationName: 'owner', poolSize: 1 });
    expect(await owner.call('all', 'SELECT * FROM note', [])).toEqual([]);
    await owner.close();
  });
});

describe('connect', () => {
  it('says that nobody answers', async () => {
    const error: unknown = await Database.connect({
      url: 'postgres://nobody:x@127.0.0.1:1/none',
      applicationName: 'nobody',
    }).catch((reason: unknown) => reason);
    expect(isUnavailable(error)).toBe(true);
  });
});
