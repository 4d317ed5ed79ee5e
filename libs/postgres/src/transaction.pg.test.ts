import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Column, Entity, PrimaryColumn, type MigrationInterface, type QueryRunner } from 'typeorm';
import { Database } from './database.ts';
import { isUnavailable, NoAnswerError, sqlStateOf } from './sql-errors.ts';
import { tenantPolicySql } from './tenants.ts';
import { createTestDatabase, startPostgres, type TestDatabase } from './testing/index.ts';
import { inOrder, TransactionAbortedError, type Tx } from './transaction.ts';

class CreateWords1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE word (id int4 PRIMARY KEY, text text NOT NULL)');
    await runner.query('CREATE TABLE owned (tenant_id text NOT NULL, id int4 NOT NULL)');
    await runner.query(tenantPolicySql('owned'));
  }
  async down(): Promise<void> {
    // Forward only.
  }
}

@Entity('word')
class Word {
  @PrimaryColumn('int4')
  id!: number;
  @Column('text')
  text!: string;
}

let test: TestDatabase;
/** Has one connection, so that each transaction finds what the one before has left on it. */
let database: Database;
beforeAll(async () => {
  const migrations = [CreateWords1764000000000];
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'transaction', migrations });
  database = await Database.connect({
    url: test.appUrl,
    applicationName: 'one connection',
    poolSize: 1,
    entities: [Word],
  });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});
beforeEach(() => test.database.call('clear_words', 'DELETE FROM word', []));

const add = (tx: Tx, id: number, text = 'x'): Promise<unknown[]> =>
  tx.call('add_word', 'INSERT INTO word VALUES ($1, $2) RETURNING id', [id, text]);
const fail = (tx: Tx): Promise<unknown[]> => tx.call('fail', 'SELECT 1 / $1::int4', [0]);

async function ids(): Promise<number[]> {
  const rows = await test.database.call<{ id: number }>('word_ids', 'SELECT id FROM word ORDER BY id', []);
  return rows.map(({ id }) => id);
}

async function tripsOf(work: (tx: Tx) => Promise<unknown>): Promise<number> {
  const before = database.roundTrips;
  await database.inTenant('t1', work);
  return database.roundTrips - before;
}

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

describe('round trips', () => {
  it('BEGIN and the tenants go along with the first statement, COMMIT alone', async () => {
    expect(await tripsOf((tx) => add(tx, 1))).toBe(2);
  });

  it('statements asked for in one go share one, each with its own answer, in their order', async () => {
    const answers: unknown[] = [];
    const spent = await tripsOf(async (tx) => {
      const count = (): Promise<unknown[]> => tx.query('SELECT count(*)::int4 FROM word WHERE id > $1', [0]);
      answers.push(...(await Promise.all([count(), add(tx, 1), count(), add(tx, 2), add(tx, 3), count()])));
    });
    expect(spent).toBe(2);
    expect(answers).toEqual([
      [{ count: 0 }],
      [{ id: 1 }],
      [{ count: 1 }],
      [{ id: 2 }],
      [{ id: 3 }],
      [{ count: 3 }],
    ]);
  });

  it('what is asked for while others are on their way goes together when they are answered', async () => {
    const spent = await tripsOf(async (tx) => {
      const first = add(tx, 1);
      await Promise.resolve();
      await Promise.resolve();
      await Promise.all([first, add(tx, 2), add(tx, 3)]);
    });
    expect(spent).toBe(3);
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('a transaction that asks nothing has none', async () => {
    expect(await tripsOf(() => Promise.resolve())).toBe(0);
    const before = database.roundTrips;
    await expect(tripsOf(() => Promise.reject(new Error('changed its mind')))).rejects.toThrow('its mind');
    expect(database.roundTrips).toBe(before);
  });

  it('a script, which may be several statements, goes alone and in its order', async () => {
    const spent = await tripsOf(async (tx) => {
      const script = `UPDATE word SET text = 'changed'; SELECT text FROM word ORDER BY id`;
      const [, rows] = await Promise.all([add(tx, 1), tx.query(script), add(tx, 2)]);
      expect(rows).toEqual([{ text: 'changed' }]);
    });
    expect(spent).toBe(4);
    const words = await test.database.call('words', 'SELECT text FROM word ORDER BY id', []);
    expect(words).toEqual([{ text: 'changed' }, { text: 'x' }]);
  });
});

describe('a statement that fails', () => {
  it('has its error, and so have those behind it, which are not carried out; those before it have answers', async () => {
    const settled: PromiseSettledResult<unknown>[] = [];
    const failing = database.transaction(async (tx) => {
      settled.push(...(await Promise.allSettled([add(tx, 1), fail(tx), add(tx, 2), add(tx, 3)])));
    });
    const thrown = await failureOf(failing);
    const [before, failed, ...behind] = settled;
    expect(before).toEqual({ status: 'fulfilled', value: [{ id: 1 }] });
    expect(failed).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
    expect(behind).toEqual([failed, failed]);
    expect(await ids()).toEqual([]);
    // Both were swallowed; what was the matter with the first is the reason.
    expect(thrown).toBeInstanceOf(TransactionAbortedError);
    expect(thrown).toMatchObject({ cause: { code: '22012' } });
  });

  it('names who asked for it', async () => {
    const error = await failureOf(
      database.transaction(async function asksInVain(tx) {
        await Promise.all([fail(tx), add(tx, 1)]);
      }),
    );
    expect((error as Error).stack).toContain('asksInVain');
  });

  it('leaves the connection to the next, whatever it was', async () => {
    const pid = await backend();
    for (let round = 0; round < 3; round += 1) {
      const failing = database.transaction((tx) => Promise.all([add(tx, 1), fail(tx), add(tx, 2)]));
      expect(sqlStateOf(await failureOf(failing))).toBe('22012');
    }
    expect([await backend(), await ids()]).toEqual([pid, []]);
  });

  it('can be survived behind a savepoint', async () => {
    await database.transaction(async (tx) => {
      await add(tx, 1);
      await tx.query('SAVEPOINT before');
      await failureOf(Promise.all([add(tx, 2), fail(tx)]));
      await tx.query('ROLLBACK TO SAVEPOINT before');
      await Promise.all([add(tx, 3), add(tx, 4)]);
    });
    expect(await ids()).toEqual([1, 3, 4]);
  });

  it('is the one that inOrder throws, however long its function takes to say so', async () => {
    const explain = async (asked: Promise<unknown>): Promise<unknown> =>
      asked.catch(async (cause: unknown) => {
        await sleep(1);
        throw new Error('nobody divides by zero', { cause });
      });
    const failing = database.transaction((tx) => inOrder([explain(fail(tx)), add(tx, 1)]));
    await expect(failing).rejects.toThrow('nobody divides by zero');
    const fine = database.transaction((tx) => inOrder([add(tx, 1), Promise.resolve('two')]));
    expect(await fine).toEqual([[{ id: 1 }], 'two']);
  });
});

describe('a BEGIN that fails', () => {
  it('refuses whatever is asked for after it', async () => {
    const settled: PromiseSettledResult<unknown>[] = [];
    const failing = database.inTenant(
      't1',
      async (tx) => {
        settled.push(
          ...(await Promise.allSettled([add(tx, 1)])),
          ...(await Promise.allSettled([add(tx, 2)])),
        );
      },
      { statementMs: Number.NaN, lockMs: 1 },
    );
    expect(sqlStateOf(await failureOf(failing))).toBe('22023');
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await ids()).toEqual([]);
    expect(await tripsOf((tx) => add(tx, 3))).toBe(2);
  });
});

describe('time-outs', () => {
  const sleepFor = (tx: Tx, seconds: number): Promise<unknown[]> =>
    tx.call('sleep_for', 'SELECT pg_sleep($1)', [seconds]);

  it('of statements count for each of them, not for what goes together', async () => {
    const limits = { statementMs: 2_000, lockMs: 2_000 };
    const three = database.inTenant('t1', (tx) => Promise.all([1, 1, 1].map((s) => sleepFor(tx, s))), limits);
    expect(await three).toHaveLength(3);
    const slow = database.inTenant('t1', (tx) => Promise.all([add(tx, 1), sleepFor(tx, 60), add(tx, 2)]), {
      ...limits,
      statementMs: 100,
    });
    expect(sqlStateOf(await failureOf(slow))).toBe('57014');
    expect(await ids()).toEqual([]);
  });

  it('of whoever waits close the connection, with all that is on its way', async () => {
    const pid = await backend();
    const impatient = database.withLimits({ connectMs: 5_000, answerMs: 300 });
    const settled: PromiseSettledResult<unknown>[] = [];
    const slow = impatient.transaction(async (tx) => {
      settled.push(...(await Promise.allSettled([add(tx, 1), sleepFor(tx, 60), add(tx, 2)])));
    });
    expect(await failureOf(slow)).toBeInstanceOf(NoAnswerError);
    expect(settled.filter(({ status }) => status === 'rejected').length).toBeGreaterThanOrEqual(2);
    expect(await backend()).not.toBe(pid);
    expect(await ids()).toEqual([]);
  });

  it('of the driver, when the server is silent for longer than it may be, close it too', async () => {
    const silent = await Database.connect({
      url: test.appUrl,
      applicationName: 'silent',
      poolSize: 1,
      statementTimeoutMs: 0,
    });
    const waiting = silent.transaction((tx) => Promise.all([add(tx, 1), sleepFor(tx, 60), add(tx, 2)]));
    const error = await failureOf(waiting);
    expect(isUnavailable(error)).toBe(true);
    expect(await silent.transaction((tx) => add(tx, 3))).toEqual([{ id: 3 }]);
    await silent.close();
    expect(await ids()).toEqual([3]);
  });
});

describe('a connection that is lost', () => {
  it('fails all that is on its way as unavailable, and the next transaction has another', async () => {
    const die = (tx: Tx): Promise<unknown[]> =>
      tx.call('die', 'SELECT pg_terminate_backend(pg_backend_pid(), $1)', [60_000]);
    const settled: PromiseSettledResult<unknown>[] = [];
    const dying = database.transaction(async (tx) => {
      settled.push(...(await Promise.allSettled([add(tx, 1), die(tx), add(tx, 2)])));
      await add(tx, 3);
    });
    expect(isUnavailable(await failureOf(dying))).toBe(true);
    const lost = settled.flatMap((one) => (one.status === 'rejected' ? [isUnavailable(one.reason)] : []));
    expect(lost.slice(-2)).toEqual([true, true]);
    expect(await tripsOf((tx) => add(tx, 4))).toBe(2);
    expect(await ids()).toEqual([4]);
  });
});

describe('TypeORM', () => {
  it('begins the transaction when it is the first, and comes behind what was asked for before it', async () => {
    await database.inTenant('t1', async (tx) => {
      await tx.manager.query(`INSERT INTO owned VALUES ('t1', 1)`);
    });
    const failing = database.inTenant('t1', async (tx) => {
      const asked = tx.call('own', `INSERT INTO owned VALUES ('t1', $1)`, [2]);
      const found: unknown = await tx.manager.query('SELECT id FROM owned ORDER BY id');
      expect(found).toEqual([{ id: 1 }, { id: 2 }]);
      await asked;
      await tx.manager.getRepository(Word).insert({ id: 1, text: 'by TypeORM' });
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    const left = await database.inTenant('t1', (tx) => tx.query('SELECT id FROM owned ORDER BY id'));
    expect([left, await ids()]).toEqual([[{ id: 1 }], []]);
  });

  it('is refused where BEGIN failed, instead of writing outside of it', async () => {
    const limits = { statementMs: Number.NaN, lockMs: 1 };
    const failing = database.inTenant(
      't1',
      (tx) => tx.manager.insert(Word, { id: 1, text: 'alone' }),
      limits,
    );
    await expect(failing).rejects.toThrow(/statement_timeout/);
    expect(await ids()).toEqual([]);
  });
});

it('refuses what still waits to be sent when the transaction ends', async () => {
  let forgotten: Promise<unknown> = Promise.resolve();
  const failing = database.transaction(async (tx) => {
    const slow = tx.query('SELECT pg_sleep($1)', [0.2]);
    await Promise.resolve();
    await Promise.resolve();
    forgotten = failureOf(Promise.all([slow, add(tx, 2)]));
    throw new Error('gives up');
  });
  await expect(failing).rejects.toThrow('gives up');
  expect(await forgotten).toMatchObject({ message: 'The transaction has already ended' });
  expect(await ids()).toEqual([]);
});
