import { unwrap } from 'idb';
import type { IDBPDatabase, IDBPTransaction } from 'idb';
import { encodeChange, valueOf } from '../encode-change.ts';
import type { EncodedChange } from '../encode-change.ts';
import { StorageError, TABLE_NAMES } from '../store.ts';
import type { Commit, Store, StoredRow, StoredValue, TableName } from '../store.ts';
import { browserTabs } from '../../tabs/browser-tabs.ts';
import { COUNTERS, IndexedDbConnection } from './indexeddb-connection.ts';
import { indexedDbError } from './indexeddb-errors.ts';

/** What {@link openIndexedDbStore} opens. */
export interface IndexedDbStoreOptions {
  /** Of the database; one for each user of the browser, so that none reads another's. */
  readonly name: string;
}

/**
 * Opens a store in IndexedDB, for windows and workers of a browser. Commits have `durability: 'strict'`.
 *
 * @throws StorageError `outdated` when a newer version of the app has been here
 */
export async function openIndexedDbStore({ name }: IndexedDbStoreOptions): Promise<Store> {
  const connection = new IndexedDbConnection(name);
  await connection.use(async () => undefined);
  return new IndexedDbStore(connection);
}

/**
 * Asks the browser to keep what this site stores when room becomes scarce. Some ask the user.
 * @returns whether it will; without that promise, it may remove everything
 */
export async function keepStorage(): Promise<boolean> {
  // Only secure contexts have it.
  const { storage } = navigator as { readonly storage?: StorageManager };
  return (await storage?.persist()) ?? false;
}

/** Of a list: the browser fetches the next one while the rows of one are read here. */
const PARTS = 8;

type Reading = IDBPTransaction<unknown, string[]>;
type Writing = IDBPTransaction<unknown, string[], 'readwrite'>;

class IndexedDbStore implements Store {
  readonly tabs = browserTabs();
  readonly #connection: IndexedDbConnection;
  readonly #underWay = new Set<Promise<unknown>>();
  #isOpen = true;

  constructor(connection: IndexedDbConnection) {
    this.#connection = connection;
  }

  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    const wanted = [...keys];
    return this.#read(table, async (transaction) => {
      const store = transaction.objectStore(table);
      const texts: unknown[] = await Promise.all(wanted.map((key) => store.get(key)));
      return texts.map((text) => (text === undefined ? undefined : valueOf(table, text)));
    });
  }

  list(table: TableName, prefix: string): Promise<StoredRow[]> {
    const range = rangeOf(prefix);
    return this.#read(table, async (transaction) => {
      const store = transaction.objectStore(table);
      const keys = (await store.getAllKeys(range)) as string[];
      const size = Math.ceil(keys.length / PARTS);
      const parts: Promise<StoredRow[]>[] = [];
      for (let from = 0; from < keys.length; from += size) {
        parts.push(readPart(transaction, table, keys.slice(from, from + size)));
      }
      return (await Promise.all(parts)).flat();
    });
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    const range = rangeOf(prefix);
    return this.#read(table, async (transaction) => {
      const keys = await transaction.objectStore(table).getAllKeys(range);
      return keys.map(String);
    });
  }

  counters(names: readonly string[]): Promise<number[]> {
    const wanted = [...names];
    return this.#read(COUNTERS, (transaction) => readCounters(transaction, wanted));
  }

  async commit(change: Commit): Promise<boolean> {
    const encoded = encodeChange(change);
    return this.#write(tablesOf(encoded), async (transaction) => {
      const { expect } = encoded;
      if (expect.length > 0) {
        const found = await readCounters(
          transaction,
          expect.map(([name]) => name),
        );
        if (expect.some(([, value], place) => value !== found[place])) return false;
      }
      request(transaction, encoded);
      return true;
    });
  }

  async clear(): Promise<void> {
    await this.commit({ isAnew: true });
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.allSettled(this.#underWay);
    this.#connection.close();
  }

  #read<T>(table: string, work: (transaction: Reading) => Promise<T>): Promise<T> {
    return this.#whileOpen((database) => work(database.transaction([table])));
  }

  /** Ends when the transaction has, with what `work` answered; throws, it takes everything back. */
  #write<T>(tables: readonly string[], work: (transaction: Writing) => Promise<T>): Promise<T> {
    return this.#whileOpen(async (database) => {
      const transaction = database.transaction([...tables], 'readwrite', { durability: 'strict' });
      // Its end is looked at below; a failed request tells of itself first.
      transaction.done.catch(() => undefined);
      let result: T;
      try {
        result = await work(transaction);
        transaction.commit();
      } catch (error) {
        // Not to be tried again: it had begun.
        throw await whyEnded(transaction, error);
      }
      await transaction.done.catch((error: unknown) => {
        throw indexedDbError(error);
      });
      return result;
    });
  }

  async #whileOpen<T>(work: (database: IDBPDatabase) => Promise<T>): Promise<T> {
    if (!this.#isOpen) throw new StorageError('closed', 'this store was closed');
    const done = this.#connection.use(work);
    this.#underWay.add(done);
    try {
      return await done;
    } finally {
      this.#underWay.delete(done);
    }
  }
}

/** The transaction's own error says more than that of a request which it took along. */
async function whyEnded(transaction: Writing, error: unknown): Promise<StorageError> {
  try {
    transaction.abort();
  } catch {
    // It has ended by itself.
  }
  const ended: unknown = await transaction.done.catch((reason: unknown) => reason);
  const isTold = unwrap(transaction).error !== null;
  return indexedDbError(isTold ? ended : error);
}

/** @param keys all that there are from the first to the last of them */
async function readPart(
  transaction: Reading,
  table: TableName,
  keys: readonly string[],
): Promise<StoredRow[]> {
  const range = IDBKeyRange.bound(keys[0], keys.at(-1));
  const texts: unknown[] = await transaction.objectStore(table).getAll(range);
  return keys.map((key, place) => ({ key, value: valueOf(table, texts[place]) }));
}

async function readCounters(
  transaction: IDBPTransaction<unknown, string[], 'readonly' | 'readwrite'>,
  names: readonly string[],
): Promise<number[]> {
  const store = transaction.objectStore(COUNTERS);
  const values: unknown[] = await Promise.all(names.map((name) => store.get(name)));
  return values.map((value) => (typeof value === 'number' ? value : 0));
}

/** Requests are done in their order. What becomes of them is the end of the transaction. */
function request(transaction: Writing, change: EncodedChange): void {
  // Not idb's wrapping: a promise for each of 5,000 rows that nobody waits for.
  const { isAnew, deletePrefixes, deletes, puts, counters } = change;
  const bare = unwrap(transaction);
  const stores = new Map([...bare.objectStoreNames].map((name) => [name, bare.objectStore(name)]));
  if (isAnew) for (const store of stores.values()) store.clear();
  for (const { table, prefix } of deletePrefixes) stores.get(table)?.delete(rangeOf(prefix) ?? allKeys());
  for (const { table, key } of deletes) stores.get(table)?.delete(key);
  for (const { table, key, text } of puts) stores.get(table)?.put(text, key);
  for (const [name, value] of counters) stores.get(COUNTERS)?.put(value, name);
}

/** A transaction over fewer tables holds up fewer others. */
function tablesOf({ isAnew, deletePrefixes, deletes, puts, counters, expect }: EncodedChange): string[] {
  if (isAnew) return [...TABLE_NAMES, COUNTERS];
  const tables = new Set<string>([...deletePrefixes, ...deletes, ...puts].map(({ table }) => table));
  // Also of an empty commit: a transaction has to be over something.
  if (counters.length > 0 || expect.length > 0 || tables.size === 0) tables.add(COUNTERS);
  return [...tables];
}

/** All keys are texts, and '' is the first of them. Made when it is needed: servers load this file, too. */
function allKeys(): IDBKeyRange {
  return IDBKeyRange.lowerBound('');
}

/** @returns null for all */
function rangeOf(prefix: string): IDBKeyRange | null {
  // IndexedDB compares texts letter by letter in UTF-16, so the end is the prefix with its last one raised.
  const rest = prefix.replace(/\uffff+$/, '');
  if (rest === '') return prefix === '' ? null : IDBKeyRange.lowerBound(prefix);
  const last = rest.charCodeAt(rest.length - 1);
  return IDBKeyRange.bound(prefix, rest.slice(0, -1) + String.fromCharCode(last + 1), false, true);
}
