import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Database } from './database.ts';
import { isUnavailable } from './sql-errors.ts';
import { startPostgres, type RunningPostgres } from './testing/index.ts';

// Each test starts servers of its own, on machines that may be busy with other test files.
jest.setTimeout(120_000);

let postgres: RunningPostgres;
let database: Database;
const warnings: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres({ own: true });
  database = await Database.connect({
    url: postgres.adminUrl,
    applicationName: 'survivor',
    poolSize: 3,
    logger: { warn: (_fields, message) => warnings.push(message) },
  });
  await database.call('table', 'CREATE TABLE entry (id int4 PRIMARY KEY)', []);
});

afterAll(async () => {
  await database.close();
  await postgres.stop();
});

/** Fills the pool; only works when no connection was lost for good. */
async function useWholePool(): Promise<number> {
  const rows = await Promise.all(
    [1, 2, 3].map(() => database.transaction((tx) => tx.query('SELECT pg_sleep(0.05)'))),
  );
  return rows.length;
}

describe('Postgres killed with SIGKILL', () => {
  it('in mid-transaction: nothing of it is written, no connection leaks, the pool recovers', async () => {
    await useWholePool();
    const open = database.transaction(async (tx) => {
      await tx.query('INSERT INTO entry VALUES (1)');
      await postgres.kill('SIGKILL');
      await tx.query('INSERT INTO entry VALUES (2)');
    });
    const error: unknown = await open.catch((reason: unknown) => reason);
    expect(isUnavailable(error)).toBe(true);
    await expect(database.call('while-down', 'SELECT 1', [])).rejects.toThrow();
    await postgres.restart();
    expect(await useWholePool()).toBe(3);
    expect(await database.call('rows', 'SELECT id FROM entry', [])).toEqual([]);
  });

  it('while a connection is taken but silent: the next statement fails, the process lives', async () => {
    const open = database.transaction(async (tx) => {
      await postgres.kill('SIGKILL');
      await postgres.restart();
      await tx.query('INSERT INTO entry VALUES (3)');
    });
    await expect(open).rejects.toThrow();
    expect(await useWholePool()).toBe(3);
  });

  it('with idle connections: each is reported and replaced', async () => {
    await useWholePool();
    const before = warnings.length;
    await postgres.kill('SIGKILL');
    await postgres.restart();
    expect(await useWholePool()).toBe(3);
    expect(warnings.length).toBeGreaterThan(before);
  });

  it('keeps what was committed', async () => {
    await database.transaction((tx) => tx.query('INSERT INTO entry VALUES (10)'));
    await postgres.kill('SIGKILL');
    await postgres.restart();
    const rows = await database.transaction((tx) => tx.query('SELECT id FROM entry'));
    expect(rows).toEqual([{ id: 10 }]);
  });
});
