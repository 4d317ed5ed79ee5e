import type { Tabs } from '../tabs/tabs.ts';

/**
 * Where a device keeps what it must not lose. Every adapter passes `@sync/client/store-contract`, which is the
 * law in full; in short:
 *
 * 1. What `commit` has answered with true is there after a crash of the app, all of it. What it has answered
 *    with false, or not at all, is there completely or not at all.
 * 2. Commits are one after the other, also those of several tabs or processes that share a store. Who reads
 *    and then writes says in `expect` what must not have changed meanwhile, and begins again when it has.
 * 3. A read sees whole commits only.
 */
export interface Store {
  /**
   * Several tabs of a browser may have it open at once, each with a handle of its own; and how they find each
   * other, null where the browser is too old for that. Undefined for one that a single client has.
   */
  readonly tabs?: Tabs | null | undefined;

  /** @returns the values of these keys in their order; undefined where there is none */
  get(table: TableName, keys: readonly string[]): Promise<(StoredValue | undefined)[]>;

  /**
   * @param prefix what their keys begin with; '' for all
   * @returns the rows in the order of their keys, as far as these are ASCII
   */
  list(table: TableName, prefix: string): Promise<StoredRow[]>;

  /** @returns the keys of what `list` has; no value is read, so that of a damaged row is among them */
  keys(table: TableName, prefix: string): Promise<string[]>;

  /** @returns these counters in their order; 0 for one that was never set */
  counters(names: readonly string[]): Promise<number[]>;

  /**
   * Stores all of it, or nothing: first what is deleted, then what is put. Once this has answered, it is
   * durable.
   * @returns whether it was stored; false means that a counter has another value than `expect` says
   * @throws StorageError
   */
  commit(change: Commit): Promise<boolean>;

  /** Deletes everything, counters as well. @throws StorageError */
  clear(): Promise<void>;

  /** Ends what is under way and lets go of files and handles. Calls after it throw StorageError `closed`. */
  close(): Promise<void>;
}

/** One for each kind of thing that a device keeps; the keys of each stand beside its row type. */
export const TABLE_NAMES = ['meta', 'scope', 'entity', 'page', 'outbox', 'outcome', 'document'] as const;
/** The name of a table. */
export type TableName = (typeof TABLE_NAMES)[number];

/** JSON, as `JSON.parse` returns it. */
export type StoredValue = Readonly<Record<string, unknown>>;

/** A row of a table. */
export interface StoredRow {
  readonly key: string;
  readonly value: StoredValue;
}

/** What {@link Store.commit} stores at once. */
export interface Commit {
  /** Everything that is stored goes first, counters as well. */
  readonly isAnew?: boolean;
  readonly deletePrefixes?: readonly { readonly table: TableName; readonly prefix: string }[];
  readonly deletes?: readonly { readonly table: TableName; readonly key: string }[];
  readonly puts?: readonly (StoredRow & { readonly table: TableName })[];
  /** Nothing is stored unless each of these counters has this value. */
  readonly expect?: Readonly<Record<string, number>>;
  /** New values of counters: safe integers. */
  readonly counters?: Readonly<Record<string, number>>;
}

/**
 * The key of a row: its parts with a NUL behind each, so that the parts of one row are never the beginning of
 * another's. No id of the protocol holds a NUL. A prefix is made the same way from fewer parts.
 */
export function keyOf(...parts: readonly string[]): string {
  return parts.map((part) => `${part}\0`).join('');
}

/**
 * | code       |                                           | what helps                |
 * | ---------- | ----------------------------------------- | ------------------------- |
 * | `full`     | device or browser grants no more room     | free some, write again    |
 * | `closed`   | the store was closed                      | open it again             |
 * | `outdated` | a newer version of the app has opened it  | load the app again        |
 * | `damaged`  | what is stored cannot be read             | clear it, sync from start |
 * | `unfit`    | the driver does not do what it has to     | take another driver       |
 * | `failed`   | else; the driver's error is the `cause`   | try again                 |
 */
export type StorageErrorCode = 'full' | 'closed' | 'outdated' | 'damaged' | 'unfit' | 'failed';

/** Whether something that is stored cannot be read. */
export function isDamaged(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'damaged';
}

/** A store could not do what it was asked. Nothing of it was stored. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StorageError';
    this.code = code;
  }
}
