import { readJson } from '@sync/domain';
import { StorageError } from './store.ts';
import type { Commit, StoredValue, TableName } from './store.ts';

/** A {@link Commit} as adapters store it. Nothing in it belongs to the caller any more. */
export interface EncodedChange {
  readonly isAnew: boolean;
  readonly deletePrefixes: readonly { readonly table: TableName; readonly prefix: string }[];
  readonly deletes: readonly { readonly table: TableName; readonly key: string }[];
  readonly puts: readonly EncodedRow[];
  readonly expect: readonly (readonly [name: string, value: number])[];
  readonly counters: readonly (readonly [name: string, value: number])[];
}

export interface EncodedRow {
  readonly table: TableName;
  readonly key: string;
  /** The value as JSON. */
  readonly text: string;
}

/**
 * Called before anything is awaited, so that the caller may go on to change what it has handed over.
 *
 * @throws StorageError `failed` when a value is no JSON or a counter no safe integer
 */
export function encodeChange(change: Commit): EncodedChange {
  const counters = Object.entries(change.counters ?? {});
  const wrong = counters.find(([, value]) => !Number.isSafeInteger(value));
  if (wrong) throw new StorageError('failed', `counter ${wrong[0]} would be ${wrong[1]}, no safe integer`);
  return {
    isAnew: change.isAnew ?? false,
    deletePrefixes: (change.deletePrefixes ?? []).map(({ table, prefix }) => ({ table, prefix })),
    deletes: (change.deletes ?? []).map(({ table, key }) => ({ table, key })),
    puts: (change.puts ?? []).map(({ table, key, value }) => ({ table, key, text: textOf(table, value) })),
    expect: Object.entries(change.expect ?? {}),
    counters,
  };
}

export function textOf(table: TableName, value: StoredValue): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new StorageError('failed', `a value for ${table} is no JSON`, { cause });
  }
}

/** @throws StorageError `damaged` */
export function valueOf(table: TableName, text: unknown): StoredValue {
  try {
    if (typeof text !== 'string') throw new TypeError(`${typeof text} in place of a text`);
    return readJson(text) as StoredValue;
  } catch (cause) {
    throw new StorageError('damaged', `a row of ${table} is no JSON`, { cause });
  }
}
