import { describe, expect, it } from '@jest/globals';
import type { SqliteDriver } from '../storage/sqlite/sqlite-driver.ts';
import { NodeSqliteDriver } from '../testing/sqlite/node-sqlite-driver.ts';
import { SQLITE_DRIVER_CONTRACT } from './sqlite-driver.ts';

/** Drivers that break one promise each, made of a good one. */
const BROKEN: Readonly<Record<string, (good: NodeSqliteDriver) => Partial<SqliteDriver>>> = {
  'commits what has failed': (good) => ({
    async transaction(fn) {
      await good.exec('BEGIN');
      return fn(good).finally(() => good.exec('COMMIT'));
    },
  }),
  'swallows what has failed': (good) => ({
    transaction: <T>(fn: (driver: SqliteDriver) => Promise<T>) =>
      good.transaction(fn).catch(() => undefined as T),
  }),
  'throws an error of its own': (good) => ({
    transaction: (fn) =>
      good.transaction(fn).catch(() => {
        throw new Error('failed');
      }),
  }),
  'answers nothing of a transaction': (good) => ({
    transaction: <T>(fn: (driver: SqliteDriver) => Promise<T>) =>
      good.transaction(fn).then(() => undefined as T),
  }),
  'leaves a failed transaction open': (good) => ({
    async transaction(fn) {
      await good.exec('BEGIN');
      const answer = await fn(good);
      await good.exec('COMMIT');
      return answer;
    },
  }),
  'writes values into the statement': (good) => ({
    query: (sql, params = []) =>
      good.query(params.reduce<string>((text, one) => text.replace('?', `'${String(one)}'`), sql)),
  }),
};

describe('the contract of drivers of SQLite', () => {
  it.each(SQLITE_DRIVER_CONTRACT)('$name, with Node’s own', async ({ run }) => {
    await expect(run(new NodeSqliteDriver(':memory:'))).resolves.toBeUndefined();
  });

  it.each(Object.entries(BROKEN))('catches a driver that %s', async (_name, breaks) => {
    const caught: string[] = [];
    for (const { name, run } of SQLITE_DRIVER_CONTRACT) {
      const good = new NodeSqliteDriver(':memory:');
      const driver: SqliteDriver = {
        exec: (sql) => good.exec(sql),
        query: (sql, params) => good.query(sql, params),
        run: (sql, params) => good.run(sql, params),
        transaction: (fn) => good.transaction(fn),
        ...breaks(good),
      };
      await run(driver).catch(() => caught.push(name));
    }
    expect(caught).not.toEqual([]);
  });
});
