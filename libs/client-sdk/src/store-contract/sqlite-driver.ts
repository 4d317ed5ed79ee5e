import type { SqliteDriver } from '../storage/sqlite/sqlite-driver.ts';
import { assertSame } from './assertions.ts';

/** One thing that a driver of SQLite has to do, which no check of a store on it can see. */
export interface SqliteDriverCheck {
  readonly name: string;
  /**
   * @param driver of an empty database
   * @throws Error that says what the driver did in place of what it should have done
   */
  readonly run: (driver: SqliteDriver) => Promise<void>;
}

/**
 * What a driver keeps beside what the checks of a store on it show: a store hardly ever has a statement that
 * fails in the middle of a transaction, until the disk is full.
 */
export const SQLITE_DRIVER_CONTRACT: readonly SqliteDriverCheck[] = [
  { name: 'a query has the values that were handed over', run: valuesAsTheyWere },
  { name: 'a transaction answers with what its function has', run: answerOfTransaction },
  { name: 'a transaction that throws stores nothing, and throws the same', run: failedTransaction },
  { name: 'a statement that fails throws, and takes its transaction along', run: failedStatement },
];

const CREATE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)';
const INSERT = 'INSERT INTO t (id, v) VALUES (?, ?)';
const SELECT = 'SELECT id, v FROM t ORDER BY id';

async function valuesAsTheyWere(driver: SqliteDriver): Promise<void> {
  await driver.exec(CREATE);
  const rows = [
    { id: 1, v: "it's ? % \u00e9 e\u0301 \u{1f600}" },
    { id: Number.MAX_SAFE_INTEGER, v: '' },
  ];
  for (const { id, v } of rows) await driver.run(INSERT, [id, v]);
  assertSame(await rowsOf(driver), rows, 'all rows');
  const found = await driver.query<{ v: string }>('SELECT v FROM t WHERE v = ?', [rows[0]?.v]);
  assertSame(
    found.map(({ v }) => v),
    [rows[0]?.v],
    'the row that was asked for',
  );
  assertSame((await driver.query('SELECT v FROM t WHERE id = ?', [2])).length, 0, 'rows that are not there');
}

async function answerOfTransaction(driver: SqliteDriver): Promise<void> {
  await driver.exec(CREATE);
  const answer = await driver.transaction(async (inside) => {
    await inside.run(INSERT, [1, 'one']);
    return { rows: (await inside.query(SELECT)).length };
  });
  assertSame(answer, { rows: 1 }, 'the answer');
  assertSame(await rowsOf(driver), [{ id: 1, v: 'one' }], 'rows');
}

async function failedTransaction(driver: SqliteDriver): Promise<void> {
  await driver.exec(CREATE);
  const failure = new Error('of the function');
  const thrown = await thrownBy(() =>
    driver.transaction(async (inside) => {
      await inside.run(INSERT, [1, 'one']);
      throw failure;
    }),
  );
  assertSame(thrown === failure, true, 'it throws what its function has thrown');
  assertSame(await rowsOf(driver), [], 'rows');
  await driver.transaction((inside) => inside.run(INSERT, [2, 'two']));
  assertSame(await rowsOf(driver), [{ id: 2, v: 'two' }], 'rows of the next transaction');
}

async function failedStatement(driver: SqliteDriver): Promise<void> {
  await driver.exec(CREATE);
  const thrown = await thrownBy(() =>
    driver.transaction(async (inside) => {
      await inside.run(INSERT, [1, 'one']);
      await inside.run(INSERT, [1, 'again']);
    }),
  );
  assertSame(thrown !== null, true, 'it throws');
  assertSame(await rowsOf(driver), [], 'rows');
}

/** Copies: drivers have objects of their own for rows, and BigInts for integers. */
async function rowsOf(driver: SqliteDriver): Promise<{ id: number; v: string }[]> {
  const rows = await driver.query<{ id: number | bigint; v: string }>(SELECT);
  return rows.map(({ id, v }) => ({ id: Number(id), v }));
}

function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  return work().then(
    () => null,
    (error: unknown) => error,
  );
}
