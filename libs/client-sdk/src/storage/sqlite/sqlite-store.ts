import { encodeChange, valueOf } from '../encode-change.ts';
import type { EncodedChange, EncodedRow } from '../encode-change.ts';
import { StorageError, TABLE_NAMES } from '../store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from '../store.ts';
import type { SqliteDriver } from './sqlite-driver.ts';
import { isBusy, sqliteError } from './sqlite-errors.ts';
import { decodeKey, encodeKey, endOfPrefix } from './sqlite-key.ts';

/** What {@link openSqliteStore} opens. */
export interface SqliteStoreOptions {
  /** A connection to the database, for this store alone. */
  readonly driver: SqliteDriver;
  /** What names of tables begin with: lower-case letters, digits and `_`. Two stores in a file need two. */
  readonly prefix?: string;
  /** Lets go of the driver; without it, that stays the app's business. */
  readonly close?: () => void | Promise<void>;
}

/** Of `PRAGMA synchronous`: a commit is on the disk when it is answered. 3 is more than that. */
const FULL = 2;
/** The version of our tables. A store of a greater one was written by a newer version of the app. */
const FORMAT = 1;
/** An old Android's SQLite takes 999 values in a statement. */
const MOST_PARAMS = 900;
/** Of the rows in one statement, so that no driver has to copy hundreds of megabytes at once. */
const MOST_LETTERS = 1_000_000;
/** How long another connection may hold the lock. */
const BUSY_MS = 10_000;
const MOST_PAUSE_MS = 20;

/**
 * Opens a store in a database of SQLite. It switches the database to WAL, where that exists, and this
 * connection to `synchronous = FULL`: what `commit` has answered survives a crash of the device as well.
 *
 * @throws StorageError `outdated` when a newer version of the app has been here
 * @throws StorageError `unfit` where `transaction` of the driver is not as {@link SqliteDriver} has it
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { driver, prefix = 'sync_' } = options;
  if (!/^[a-z_][a-z0-9_]*$/.test(prefix)) throw new StorageError('failed', `${prefix} is no prefix`);
  try {
    // A browser's file system knows no WAL; SQLite then keeps the mode that it has.
    await patiently(() => driver.query('PRAGMA journal_mode = WAL'));
    await driver.exec('PRAGMA synchronous = FULL');
    assertFit(await patiently(() => driver.transaction((transaction) => createTables(transaction, prefix))));
  } catch (error) {
    throw sqliteError(error);
  }
  return new SqliteStore(driver, prefix, options.close);
}

/** @returns the mode in which this connection flushes, as far as the driver tells */
async function createTables(driver: SqliteDriver, prefix: string): Promise<{ synchronous: number }> {
  const format = `${prefix}format`;
  await driver.run(`CREATE TABLE IF NOT EXISTS ${format} (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)`);
  await driver.run(`INSERT OR IGNORE INTO ${format} (id, version) VALUES (1, ${FORMAT})`);
  await assertFormat(driver, prefix);
  for (const table of TABLE_NAMES) {
    await driver.run(
      `CREATE TABLE IF NOT EXISTS ${prefix}${table} (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)`,
    );
  }
  await driver.run(
    `CREATE TABLE IF NOT EXISTS ${prefix}counter (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)`,
  );
  const [row] = await driver.query<{ synchronous: number | bigint }>('PRAGMA synchronous');
  return { synchronous: Number(row?.synchronous ?? FULL) };
}

/**
 * What {@link SqliteDriver} asks of transactions: else commits would look refused, or go with the power.
 * @param answered by the function that was given to `transaction`
 */
function assertFit(answered: { readonly synchronous: number } | undefined): void {
  if (typeof answered !== 'object')
    throw new StorageError('unfit', 'transaction() of the driver does not answer with what its function has');
  if (answered.synchronous < FULL)
    throw new StorageError('unfit', 'transaction() of the driver uses a connection that does not flush');
}

async function assertFormat(driver: SqliteDriver, prefix: string): Promise<void> {
  const [row] = await driver.query<{ version: number | bigint }>(`SELECT version FROM ${prefix}format`);
  const version = Number(row?.version);
  if (version === FORMAT) return;
  if (version > FORMAT) throw new StorageError('outdated', `tables of format ${version}; known is ${FORMAT}`);
  throw new StorageError('damaged', 'the version of the tables is not there');
}

/**
 * Calls of all stores of one connection are one after the other: what is read while a transaction is open on
 * the same connection would be read before it is stored.
 */
const QUEUES = new WeakMap<SqliteDriver, Promise<unknown>>();

class SqliteStore implements Store {
  readonly #driver: SqliteDriver;
  readonly #prefix: string;
  readonly #release: (() => void | Promise<void>) | undefined;
  #isOpen = true;

  constructor(driver: SqliteDriver, prefix: string, release: (() => void | Promise<void>) | undefined) {
    this.#driver = driver;
    this.#prefix = prefix;
    this.#release = release;
  }

  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    const encoded = keys.map(encodeKey);
    return this.#read(async (driver) => {
      const found = new Map<string, string>();
      for (const some of slices([...new Set(encoded)])) {
        const sql = `SELECT key, value FROM ${this.#prefix}${table} WHERE key IN (${marks(some.length)})`;
        for (const row of await driver.query<TextRow>(sql, some)) found.set(row.key, row.value);
      }
      return encoded.map((key) => {
        const text = found.get(key);
        return text === undefined ? undefined : valueOf(table, text);
      });
    }, encoded.length > MOST_PARAMS);
  }

  list(table: TableName, prefix: string): Promise<StoredRow[]> {
    const { where, params } = rangeOf(prefix);
    const sql = `SELECT key, value FROM ${this.#prefix}${table} WHERE ${where} ORDER BY key`;
    return this.#read(async (driver) => {
      const rows = await driver.query<TextRow>(sql, params);
      return rows.map(({ key, value }) => ({ key: decodeKey(key), value: valueOf(table, value) }));
    });
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    const { where, params } = rangeOf(prefix);
    const sql = `SELECT key FROM ${this.#prefix}${table} WHERE ${where} ORDER BY key`;
    return this.#read(async (driver) => {
      const rows = await driver.query<Pick<TextRow, 'key'>>(sql, params);
      return rows.map(({ key }) => decodeKey(key));
    });
  }

  counters(names: readonly string[]): Promise<number[]> {
    const wanted = [...names];
    return this.#read((driver) => this.#readCounters(driver, wanted), wanted.length > MOST_PARAMS);
  }

  async commit(change: Commit): Promise<boolean> {
    const encoded = encodeChange(change);
    return this.#inTransaction(async (driver) => {
      if (!(await this.#isAsExpected(driver, encoded))) return false;
      await this.#write(driver, encoded);
      return true;
    });
  }

  async clear(): Promise<void> {
    await this.commit({ isAnew: true });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#enqueue(async () => this.#release?.());
  }

  async #readCounters(driver: SqliteDriver, names: readonly string[]): Promise<number[]> {
    const found = new Map<string, number>();
    for (const some of slices([...new Set(names.map(encodeKey))])) {
      const sql = `SELECT name, value FROM ${this.#prefix}counter WHERE name IN (${marks(some.length)})`;
      const rows = await driver.query<{ name: string; value: number | bigint }>(sql, some);
      for (const row of rows) found.set(row.name, Number(row.value));
    }
    return names.map((name) => found.get(encodeKey(name)) ?? 0);
  }

  async #isAsExpected(driver: SqliteDriver, { expect }: EncodedChange): Promise<boolean> {
    if (expect.length === 0) return true;
    const found = await this.#readCounters(
      driver,
      expect.map(([name]) => name),
    );
    return expect.every(([, value], place) => value === found[place]);
  }

  async #write(driver: SqliteDriver, change: EncodedChange): Promise<void> {
    for (const table of change.isAnew ? [...TABLE_NAMES, 'counter'] : []) {
      await driver.run(`DELETE FROM ${this.#prefix}${table}`);
    }
    for (const { table, prefix } of change.deletePrefixes) {
      const { where, params } = rangeOf(prefix);
      await driver.run(`DELETE FROM ${this.#prefix}${table} WHERE ${where}`, params);
    }
    for (const [table, keys] of byTable(change.deletes)) {
      for (const some of slices(keys.map(({ key }) => encodeKey(key)))) {
        await driver.run(`DELETE FROM ${this.#prefix}${table} WHERE key IN (${marks(some.length)})`, some);
      }
    }
    for (const [table, rows] of byTable(change.puts)) {
      for (const params of statementsOf(rows)) await this.#put(driver, table, 'key', params);
    }
    const counters = change.counters.flatMap(([name, value]) => [encodeKey(name), value]);
    for (const params of slices(counters)) await this.#put(driver, 'counter', 'name', params);
  }

  /** @param params key and value of a row, then those of the next */
  #put(driver: SqliteDriver, table: string, key: string, params: readonly unknown[]): Promise<void> {
    const rows = Array(params.length / 2)
      .fill('(?,?)')
      .join(',');
    return driver.run(
      `INSERT INTO ${this.#prefix}${table} (${key}, value) VALUES ${rows} ` +
        `ON CONFLICT (${key}) DO UPDATE SET value = excluded.value`,
      params,
    );
  }

  /** @param isLong it takes several statements, which have to see the same */
  #read<T>(work: (driver: SqliteDriver) => Promise<T>, isLong = false): Promise<T> {
    return this.#whileOpen(async () => {
      const result = isLong
        ? await this.#driver.transaction((transaction) => work(transaction))
        : await work(this.#driver);
      // Afterwards, because versions only grow: what was read before is of this format.
      await assertFormat(this.#driver, this.#prefix);
      return result;
    });
  }

  #inTransaction<T>(work: (driver: SqliteDriver) => Promise<T>): Promise<T> {
    return this.#whileOpen(() =>
      this.#driver.transaction(async (transaction) => {
        // Takes the lock of writers. A transaction that began with a read could find at its first write that
        // another has written meanwhile, and would have to end.
        await transaction.run(`UPDATE ${this.#prefix}format SET version = version WHERE id = 0`);
        await assertFormat(transaction, this.#prefix);
        return work(transaction);
      }),
    );
  }

  async #whileOpen<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#isOpen) throw new StorageError('closed', 'this store was closed');
    try {
      return await this.#enqueue(() => patiently(work));
    } catch (error) {
      throw sqliteError(error);
    }
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = (QUEUES.get(this.#driver) ?? Promise.resolve()).then(work);
    QUEUES.set(
      this.#driver,
      done.catch(() => undefined),
    );
    return done;
  }
}

interface TextRow {
  readonly key: string;
  readonly value: string;
}

/**
 * Tries again while another connection holds the lock. SQLite's own waiting (`busy_timeout`) belongs to
 * whoever opened the connection; in a driver that blocks, it would also wait for the very thread that it
 * stops.
 */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const endMs = Date.now() + BUSY_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || Date.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * MOST_PAUSE_MS));
    }
  }
}

function rangeOf(prefix: string): { readonly where: string; readonly params: readonly string[] } {
  const from = encodeKey(prefix);
  const to = endOfPrefix(from);
  return to === null
    ? { where: 'key >= ?', params: [from] }
    : { where: 'key >= ? AND key < ?', params: [from, to] };
}

function byTable<T extends { readonly table: TableName }>(items: readonly T[]): Map<TableName, T[]> {
  const groups = new Map<TableName, T[]>();
  for (const item of items) {
    const group = groups.get(item.table);
    if (group) group.push(item);
    else groups.set(item.table, [item]);
  }
  return groups;
}

/** Keys and values, as many as fit into a statement. */
function* statementsOf(rows: readonly EncodedRow[]): Generator<string[]> {
  let [params, letters]: [string[], number] = [[], 0];
  for (const { key, text } of rows) {
    if (params.length >= MOST_PARAMS || (letters > 0 && letters + text.length > MOST_LETTERS)) {
      yield params;
      [params, letters] = [[], 0];
    }
    params.push(encodeKey(key), text);
    letters += text.length;
  }
  if (params.length > 0) yield params;
}

function* slices<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += MOST_PARAMS) yield items.slice(from, from + MOST_PARAMS);
}

function marks(count: number): string {
  return Array(count).fill('?').join(',');
}
