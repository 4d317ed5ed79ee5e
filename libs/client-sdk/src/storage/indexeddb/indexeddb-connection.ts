import { openDB } from 'idb';
import type { IDBPDatabase } from 'idb';
import { StorageError, TABLE_NAMES } from '../store.ts';
import { indexedDbError } from './indexeddb-errors.ts';

/** The version of our object stores. A greater one was made by a newer version of the app. */
const FORMAT = 1;
export const COUNTERS = 'counter';
const BLOCKED_MS = 10_000;

/**
 * One connection that is opened when it is needed, and again after the browser has closed it. When another
 * tab wants to lift or delete the database, it is let go of at once: a tab that holds on would block the
 * newer version of the app.
 */
export class IndexedDbConnection {
  readonly #name: string;
  #opening: Promise<IDBPDatabase> | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  /**
   * @param work begins a transaction at once; it is called again when the connection had ended by then
   * @throws StorageError
   */
  async use<T>(work: (database: IDBPDatabase) => Promise<T>): Promise<T> {
    for (let isFirst = true; ; isFirst = false) {
      const opening = (this.#opening ??= this.#open());
      let isOpen = false;
      try {
        const database = await opening;
        isOpen = true;
        return await work(database);
      } catch (error) {
        // Nothing has begun yet: the browser ended the connection while it was opened, or before it was used.
        const isOver = (error as Error).name === (isOpen ? 'InvalidStateError' : 'AbortError');
        // After any failure of the browser's own, the next call begins with a new connection.
        if (!(error instanceof StorageError)) this.#letGo(opening);
        if (!isOver || !isFirst) throw indexedDbError(error);
      }
    }
  }

  close(): void {
    if (this.#opening) this.#letGo(this.#opening);
  }

  async #open(): Promise<IDBPDatabase> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const blocked = new Promise<never>((_resolve, reject) => {
      const error = new StorageError('failed', 'another tab holds an older version of the database');
      timer = setTimeout(() => reject(error), BLOCKED_MS);
    });
    const opened = openDB(this.#name, FORMAT, {
      upgrade: (database) => {
        for (const name of [...TABLE_NAMES, COUNTERS]) database.createObjectStore(name);
      },
      blocking: () => this.close(),
      terminated: () => (this.#opening = null),
    });
    try {
      return await Promise.race([opened, blocked]);
    } catch (error) {
      this.#opening = null;
      // It may still open, when the other tab is closed.
      opened.then(
        (database) => database.close(),
        () => undefined,
      );
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #letGo(opening: Promise<IDBPDatabase>): void {
    if (this.#opening === opening) this.#opening = null;
    opening.then(
      (database) => database.close(),
      () => undefined,
    );
  }
}
