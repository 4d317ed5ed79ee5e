import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Database } from './database.ts';
import { sqlStateOf } from './sql-errors.ts';
import { sendTogether } from './statement-batch.ts';
import { createTestDatabase, startPostgres, type TestDatabase } from './testing/index.ts';
import type { Tx } from './transaction.ts';

class CreateWords1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE word (id int4 PRIMARY KEY, text text NOT NULL)');
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

let test: TestDatabase;
/** Has one connection, so that each transaction finds what the one before has left on it. */
let database: Database;
beforeAll(async () => {
  const migrations = [CreateWords1764000000000];
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'batch', migrations });
  database = await Database.connect({ url: test.appUrl, applicationName: 'one connection', poolSize: 1 });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});
beforeEach(() => database.call('clear_words', 'DELETE FROM word', []));

const add = (tx: Tx, id: number): Promise<unknown[]> =>
  tx.call('add_word', 'INSERT INTO word VALUES ($1, $2) RETURNING id', [id, 'x']);

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function backend(): Promise<unknown> {
  const [row] = await database.call<{ pid: number }>('backend', 'SELECT pg_backend_pid() AS pid', []);
  return row?.pid;
}

describe('values that cannot be sent', () => {
  it('fail what is asked for with them before anything is sent, and leave no name half prepared', async () => {
    const self: Record<string, unknown> = {};
    self['self'] = self;
    const write = (value: unknown): Promise<unknown> =>
      database.transaction((tx) =>
        Promise.all([add(tx, 1), tx.call('as_json', 'SELECT $1::json AS value', [value])]),
      );
    const before = await backend();
    expect(await failureOf(write(self))).toBeInstanceOf(TypeError);
    expect(await write({ a: [1, null] })).toEqual([[{ id: 1 }], [{ value: { a: [1, null] } }]]);
    expect(await backend()).toBe(before);
  });

  it('under a name that has another text are refused', async () => {
    const both = database.transaction((tx) =>
      Promise.all([tx.call('twice', 'SELECT 1 AS n', []), tx.call('twice', 'SELECT 2 AS n', [])]),
    );
    await expect(both).rejects.toThrow(/twice/);
  });

  it('are of every kind that a statement alone takes', async () => {
    const values = [
      7,
      'é\n',
      null,
      undefined,
      true,
      2n,
      ['a', null, 'b"\\'],
      new Date(0),
      Buffer.from([0, 255]),
    ];
    const types = ['int4', 'text', 'text', 'text', 'bool', 'int8', 'text[]', 'timestamptz', 'bytea'];
    const text = `SELECT ${types.map((type, index) => `$${index + 1}::${type} AS v${index}`).join(', ')}`;
    const alone = await database.call('alone', text, values);
    const [first, again] = await database.transaction((tx) =>
      Promise.all([tx.call('kinds', text, values), tx.call('kinds', text, values)]),
    );
    expect([first, again]).toEqual([alone, alone]);
  });
});

describe('a batch', () => {
  it('an empty statement and one that copies are answered like others', async () => {
    await database.transaction(async (tx) => {
      const [nothing, one] = await Promise.all([
        tx.call('nothing', '', []),
        tx.query('SELECT $1::int4', [1]),
      ]);
      expect([nothing, one]).toEqual([[], [{ int4: 1 }]]);
    });
    const pid = await backend();
    const copying = database.transaction((tx) => tx.call('copy', 'COPY word FROM STDIN', []));
    expect(sqlStateOf(await failureOf(copying))).toBe('57014');
    expect(await backend()).toBe(pid);
  });

  it('that fails keeps no name of it from being prepared later', async () => {
    const read = (): Promise<unknown> =>
      database.transaction((tx) =>
        Promise.all([
          add(tx, 1),
          tx.call('read_late', 'SELECT id FROM late', []),
          tx.call('behind_late', 'SELECT 2 AS two', []),
        ]),
      );
    for (const _twice of [1, 2]) expect(sqlStateOf(await failureOf(read()))).toBe('42P01');
    const owner = new Client(test.ownerUrl);
    await owner.connect();
    await owner.query('CREATE TABLE late (id int4); GRANT SELECT ON late TO PUBLIC');
    await owner.end();
    expect(await read()).toEqual([[{ id: 1 }], [], [{ two: 2 }]]);
  });

  it('whose BEGIN fails takes everything behind it along, so that nothing is committed on its own', async () => {
    const client = new Client(test.appUrl);
    await client.connect();
    const told: unknown[] = [];
    const note = {
      resolve: () => told.push('done'),
      reject: (error: unknown) => told.push(sqlStateOf(error)),
    };
    await sendTogether(client, [
      { config: { text: 'BEGIN', name: 'begin' }, ...note },
      { config: { text: `SET LOCAL lock_timeout = 'nonsense'`, name: 'set' }, ...note },
      { config: { text: 'INSERT INTO word VALUES ($1, $2)', values: [1, 'alone'] }, ...note },
    ]);
    await client.end();
    expect(told).toEqual(['done', '22023', '22023']);
    expect(await database.call('words', 'SELECT FROM word', [])).toEqual([]);
  });
});
