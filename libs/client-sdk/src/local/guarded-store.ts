import type { Commit, Store, StoredRow, StoredValue, TableName } from '../storage/store.ts';

/**
 * Counters by which every tab sees what others have done.
 *
 * | counter    |                                                                            |
 * | ---------- | -------------------------------------------------------------------------- |
 * | `store`    | chosen by chance whenever the store begins anew: what a tab has read of it |
 * |            | before is of another store                                                 |
 * | `term`     | how often a tab has begun to lead                                          |
 * | `led`      | how many commits leaders have made                                         |
 * | `sequence` | the number of the last write                                               |
 */
export const KNOWN = ['store', 'term', 'led', 'sequence'] as const;
export type Known = Record<(typeof KNOWN)[number], number>;

/** Whether somebody who knows `told` has read what one who knows `own` has not. */
export function isBehind(own: Known, told: Known): boolean {
  return told.store !== own.store || told.led > own.led || told.sequence > own.sequence;
}

/** What a commit has changed: where, and never what, so that an encrypted store stays so. */
export interface Told {
  readonly prefixes: readonly { readonly table: TableName; readonly prefix: string }[];
  readonly rows: readonly { readonly table: TableName; readonly key: string }[];
  readonly counters: Readonly<Partial<Known>>;
}

/**
 * The store as one of several tabs uses it. Nothing is stored but through here: each commit expects that the
 * store is still the one which this tab has read, and is told to the others.
 */
export class GuardedStore {
  readonly #inner: Store;
  /** What this tab has read, or stored itself. */
  readonly known: Known = { store: 0, term: 0, led: 0, sequence: 0 };
  /** Null while another tab leads, or nobody. */
  #term: number | null = null;
  /** Hears of each commit of this tab. */
  onStored: (told: Told) => void = () => undefined;

  constructor(inner: Store) {
    this.#inner = inner;
  }

  /** See {@link Store.tabs}. */
  get isForTabs(): boolean {
    return this.#inner.tabs !== undefined;
  }

  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]> {
    return this.#inner.get(table, keys);
  }

  list(table: TableName, prefix: string): Promise<StoredRow[]> {
    return this.#inner.list(table, prefix);
  }

  keys(table: TableName, prefix: string): Promise<string[]> {
    return this.#inner.keys(table, prefix);
  }

  counters(names: readonly string[]): Promise<number[]> {
    return this.#inner.counters(names);
  }

  /** @returns what stands in the store now of {@link KNOWN} */
  async look(): Promise<Known> {
    const [store = 0, term = 0, led = 0, sequence = 0] = await this.#inner.counters(KNOWN);
    return { store, term, led, sequence };
  }

  /**
   * @returns false where a counter of `expect` has moved
   * @throws StorageClearedError, StoreReplacedError; then nothing of it is stored
   * @throws StorageError
   */
  async commit(change: Commit): Promise<boolean> {
    const { store } = this.known;
    if (await this.#store({ ...change, expect: { ...change.expect, store } })) return true;
    await this.check();
    return false;
  }

  /**
   * Stores what the server has said. Not to be called twice at once.
   * @throws NotLeadingError when another tab leads by now
   * @throws StorageClearedError, StoreReplacedError
   * @throws StorageError
   */
  async commitAsLeader(change: Commit): Promise<void> {
    const term = this.#term;
    if (term === null) throw new NotLeadingError();
    const led = this.known.led + 1;
    const expect = { ...change.expect, term };
    const isStored = await this.commit({ ...change, expect, counters: { ...change.counters, led } });
    if (!isStored) throw new NotLeadingError();
    this.known.led = led;
  }

  /**
   * Whatever store it is by now.
   * @returns false where a counter of `expect` has another value
   * @throws StorageError
   */
  commitIf(change: Commit, expect: Partial<Known>): Promise<boolean> {
    return this.#store({ ...change, expect: { ...change.expect, ...expect } });
  }

  /**
   * Makes another store of it, for all tabs: what they have read is to be read anew.
   * @param expect what it must be until then
   * @returns false where it was not
   */
  async replace(change: Commit, expect: Partial<Known>): Promise<boolean> {
    const term = Math.max(this.known.term, this.#term ?? 0);
    const next = { store: newStoreId(), term, led: 0 };
    const counters = { ...change.counters, ...next };
    if (!(await this.commitIf({ ...change, counters }, expect))) return false;
    Object.assign(this.known, next);
    return true;
  }

  /**
   * @param store what it is now: the one that this tab has read, or a cleared one
   * @throws NotLeadingError, StorageError
   */
  async replaceAsLeader(change: Commit, store: number): Promise<void> {
    const term = this.#term;
    if (term === null || (store !== 0 && store !== this.known.store)) throw new NotLeadingError();
    const expect = store === 0 ? { store } : { store, term };
    if (!(await this.replace(change, expect))) throw new NotLeadingError();
  }

  /**
   * @throws NotLeadingError when another tab leads by now
   * @throws StorageClearedError, StoreReplacedError, StorageError
   */
  async assertLeading(): Promise<void> {
    if ((await this.check()).term !== this.#term) throw new NotLeadingError();
  }

  /** @returns false where another tab has begun one at the same time */
  async beginTerm(): Promise<boolean> {
    const { term: expected } = await this.look();
    const term = Math.max(expected, this.known.term) + 1;
    if (!(await this.commit({ expect: { term: expected }, counters: { term } }))) return false;
    this.known.term = term;
    this.#term = term;
    return true;
  }

  /** What this tab was about to store as the leader is not stored any more. */
  endTerm(): void {
    this.#term = null;
  }

  get isLeading(): boolean {
    return this.#term !== null;
  }

  /**
   * @returns what stands in the store now, which is the one that this tab has read
   * @throws StorageClearedError, StoreReplacedError
   */
  async check(): Promise<Known> {
    const now = await this.look();
    if (now.store === 0) throw new StorageClearedError();
    if (now.store !== this.known.store) throw new StoreReplacedError();
    return now;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #store(change: Commit): Promise<boolean> {
    if (!(await this.#inner.commit(change))) return false;
    const { isAnew = false, deletePrefixes = [], deletes = [], puts = [], counters = {} } = change;
    const found = KNOWN.flatMap((name) => (counters[name] === undefined ? [] : [[name, counters[name]]]));
    if (isAnew || deletePrefixes.length + deletes.length + puts.length + found.length > 0) {
      this.onStored({
        prefixes: deletePrefixes,
        rows: [...deletes, ...puts].map(({ table, key }) => ({ table, key })),
        counters: Object.fromEntries(found) as Partial<Known>,
      });
    }
    return true;
  }
}

/** Never 0, which is that of an empty store. */
export function newStoreId(): number {
  return 1 + Math.floor(Math.random() * 2 ** 50);
}

/** Another tab leads: what this one wanted to store was not stored. */
export class NotLeadingError extends Error {
  override readonly name = 'NotLeadingError';
}

/** The store is empty, although it was not before. */
export class StorageClearedError extends Error {
  override readonly name = 'StorageClearedError';
}

/** Another tab has emptied the store, or made it anew: it is to be read again. */
export class StoreReplacedError extends Error {
  override readonly name = 'StoreReplacedError';
}
