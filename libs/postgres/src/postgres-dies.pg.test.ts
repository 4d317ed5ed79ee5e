import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from './database.ts';
import { isUnavailable, NoAnswerError } from './sql-errors.ts';
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

describe('Postgres stopped with SIGSTOP', () => {
  const LIMITS = { connectMs: 300, answerMs: 500 };
  let waited: Database;

  beforeAll(() => {
    waited = database.withLimits(LIMITS);
  });
  afterEach(() => postgres.kill('SIGCONT'));

  it('gives whoever waits an error in time, on connections that were open, on new ones, and in line for one', async () => {
    await useWholePool();
    await postgres.kill('SIGSTOP');
    // Three open connections, three that wait for one of them, and after that three that wait for new ones.
    for (const round of [1, 2]) {
      const asked = [1, 2, 3, 4, 5, 6].map(() => waited.call(`asked-${round}`, 'SELECT 1', []));
      for (const { reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[]) {
        expect(reason).toBeInstanceOf(NoAnswerError);
        expect(isUnavailable(reason)).toBe(true);
      }
    }
    await postgres.kill('SIGCONT');
    expect(await useWholePool()).toBe(3);
    expect(await waited.call('again', 'SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
  });

  it('rolls back a transaction whose statement got no answer, and uses its connection for nobody else', async () => {
    const pids: unknown[] = [];
    const open = waited.transaction(async (tx) => {
      pids.push(...(await tx.query('SELECT pg_backend_pid() AS pid')));
      await tx.query('INSERT INTO entry VALUES (20)');
      await postgres.kill('SIGSTOP');
      await tx.query('INSERT INTO entry VALUES (21)');
    });
    await expect(open).rejects.toThrow(NoAnswerError);
    await postgres.kill('SIGCONT');
    await useWholePool();
    const rows = await database.call('after', 'SELECT id FROM entry WHERE id IN (20, 21)', []);
    const backends = await database.call('backends', 'SELECT pid FROM pg_stat_activity', []);
    expect(rows).toEqual([]);
    expect(backends).not.toContainEqual(pids[0]);
  });

  it('does not say whether a COMMIT without an answer was carried out: what is idempotent is repeated, and is there once', async () => {
    const add = (before: () => Promise<void>): Promise<unknown> =>
      waited.transaction(async (tx) => {
        await tx.query('INSERT INTO entry VALUES (30) ON CONFLICT DO NOTHING');
        await before();
      });
    await expect(add(() => postgres.kill('SIGSTOP'))).rejects.toThrow(NoAnswerError);
    await postgres.kill('SIGCONT');
    await add(async () => undefined);
    const rows = await database.call('unknown', 'SELECT id FROM entry WHERE id = 30', []);
    expect(rows).toEqual([{ id: 30 }]);
  });
});

it('ends a statement that was given up, on the server too', async () => {
  const url = postgres.adminUrl;
  const patient = await Database.connect({ url, applicationName: 'slow', statementTimeoutMs: 600_000 });
  const impatient = patient.withLimits({ connectMs: 5_000, answerMs: 200 });
  const slow = impatient.call('given_up', `SELECT pg_sleep(60), 'given up'`, []);
  await expect(slow).rejects.toThrow(NoAnswerError);
  const look = `SELECT pid FROM pg_stat_activity
    WHERE query LIKE '%given up%' AND state = 'active' AND pid <> pg_backend_pid()`;
  while ((await database.call('look', look, [])).length > 0) await sleep(100);
  await patient.close();
});
